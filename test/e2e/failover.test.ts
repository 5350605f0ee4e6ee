import { describe, expect, test } from 'vitest'
import { allOf, expectClean, seenOf, testStudy } from '../support/archive.ts'
import { hasPostgres15, startPostgresPair } from '../support/debian-postgres.ts'
import { externalDatabaseURL, freePort, startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'

const reason = !hasPostgres15
  ? "Debian's Postgres 15 is not installed"
  : externalDatabaseURL !== undefined
    ? 'it brings two Postgres of its own, and ran with the embedded one'
    : undefined
if (reason !== undefined) console.log(`not run: a standby that takes over, because ${reason}`)

describe.skipIf(reason !== undefined)(
  'a DATABASE_URL with two hosts, one the standby of the other',
  () => {
    test('goes on with the standby when that has taken over, and nothing that was acknowledged is lost', async () => {
      await using postgres = await startPostgresPair([await freePort(), await freePort()])
      await using server = await startServer({ databaseURL: postgres.url })
      const before = testStudy(5)
      expect((await stow(`${server.dicomWeb}/studies`, before.files)).status).toBe(200)
      await postgres.failOver()
      const after = testStudy(5)
      await server.until(async () => {
        const answer = await stow(`${server.dicomWeb}/studies`, after.files)
        expect([200, 503]).toContain(answer.status)
        return answer.status === 200
      })
      for (const { studyInstanceUID } of [before, after])
        expect(await seenOf(server, studyInstanceUID)).toEqual(allOf(5))
      // Notices, locks and the page's numbers have connections of their own.
      await server.until(async () => (await fetch(`${server.url}/readyz`)).status === 200)
      await expectClean(server)
    })
  },
)
