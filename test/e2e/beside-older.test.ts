import { describe, expect, test } from 'vitest'
import { allOf, expectClean, seenOf, testStudy } from '../support/archive.ts'
import { startServer } from '../support/server.ts'
import { startSharedPostgres } from '../support/shared-postgres.ts'
import { stow } from '../support/stow.ts'

const checkout = process.env.TEST_OLDER_CHECKOUT
if (checkout === undefined)
  console.log('not run: an older server beside this one, because TEST_OLDER_CHECKOUT names none')

describe.skipIf(checkout === undefined)('a server of an older version, beside this one', () => {
  test('goes on while this one changes the tables, and both store, find and delete what either has', async () => {
    await using postgres = await startSharedPostgres()
    const settings = {
      databaseURL: postgres.url,
      env: { STOWAGE_STORE_DIR: postgres.storeDir, STOWAGE_QUIET_SECONDS: '1' },
    }
    await using older = await startServer({ ...settings, checkout: checkout as string })
    const studies = [testStudy(3)]
    const send = async (server: typeof older) => {
      const study = testStudy(3)
      expect((await stow(`${server.dicomWeb}/studies`, study.files)).status).toBe(200)
      studies.push(study)
    }
    await send(older)
    studies.shift()
    await using newer = await startServer(settings)
    for (let round = 1; round <= 5; round++) await Promise.all([send(older), send(newer)])
    const [first, second] = studies
    for (const [server, study] of [
      [older, first],
      [newer, second],
    ] as const) {
      const url = `${server.dicomWeb}/studies/${study?.studyInstanceUID}`
      expect((await fetch(url, { method: 'DELETE' })).ok).toBe(true)
    }
    for (const server of [older, newer]) {
      for (const [index, { studyInstanceUID }] of studies.entries()) {
        expect(await seenOf(server, studyInstanceUID)).toEqual(allOf(index < 2 ? 0 : 3))
      }
      await server.until(async () => {
        const last = studies.at(-1)?.studyInstanceUID
        const said = await fetch(`${server.url}/api/studies/${last}`)
        return ((await said.json()) as { state: string }).state === 'stable'
      })
    }
    await expectClean(newer)
  })
})
