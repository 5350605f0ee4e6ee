import { expect, test } from 'vitest'
import { allOf, seenOf, testStudy } from '../support/archive.ts'
import { startServer } from '../support/server.ts'
import { startSharedPostgres } from '../support/shared-postgres.ts'
import { stow } from '../support/stow.ts'

test('a server that is told to stop ends within its limit, also when its database does not answer', async () => {
  await using postgres = await startSharedPostgres()
  const env = { STOWAGE_STOP_SECONDS: '1', STOWAGE_STORE_DIR: postgres.storeDir }
  await using server = await startServer({ databaseURL: postgres.url, env })
  const study = testStudy(3)
  expect((await stow(`${server.dicomWeb}/studies`, study.files)).status).toBe(200)
  await postgres.freeze()
  // Something that waits for it.
  const asked = fetch(`${server.dicomWeb}/studies`).catch(() => {})
  await server.stop()
  await asked
  expect(server.log).toMatch(/Stowage (stopped|ends although something still hangs)/)
  await postgres.thaw()
  await server.start()
  expect(await seenOf(server, study.studyInstanceUID)).toEqual(allOf(3))
}, 60_000)
