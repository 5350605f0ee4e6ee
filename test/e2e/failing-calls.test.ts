import { describe, expect, test } from 'vitest'
import {
  allOf,
  expectClean,
  expectConsistent,
  expectNothingOf,
  seenOf,
  settledHoldings,
  testStudy,
} from '../support/archive.ts'
import { failCalls, whyNoFailingCalls } from '../support/failing-calls.ts'
import { startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'

const reason = whyNoFailingCalls()
if (reason !== undefined) console.log(`not run: calls to the system that fail, because ${reason}`)

// At a position: those without one also go to connections.
const writes = 'pwrite64,pwritev,pwritev2'

describe.skipIf(reason !== undefined)('a store whose calls to the system fail', () => {
  test('is not believed: nothing of what was being written is seen, the sender is told, and the next request is stored', async () => {
    await using server = await startServer()
    await using sql = await server.connect()
    const kept = testStudy(3)
    expect((await stow(`${server.dicomWeb}/studies`, kept.files)).status).toBe(200)
    const before = await settledHoldings(server, sql)
    for (const { calls, error, status, files } of [
      // A small request, whose segment others share, and a large one, which has its own.
      { calls: 'fdatasync,fsync', error: 'EIO', status: 503, files: testStudy(3) },
      { calls: 'fdatasync,fsync', error: 'EIO', status: 503, files: testStudy(3, 2_000_000) },
      { calls: writes, error: 'EIO', status: 503, files: testStudy(3) },
      { calls: writes, error: 'EIO', status: 503, files: testStudy(3, 2_000_000) },
      { calls: writes, error: 'ENOSPC', status: 507, files: testStudy(3, 2_000_000) },
      { calls: writes, error: 'EDQUOT', status: 507, files: testStudy(3) },
      { calls: 'openat,open', error: 'EMFILE', status: 503, files: testStudy(3, 2_000_000) },
    ]) {
      const failing = await failCalls(server.pid, calls, error)
      const answer = await stow(`${server.dicomWeb}/studies`, files.files)
      const count = await failing.end()
      expect([calls, error, answer.status, count > 0]).toEqual([calls, error, status, true])
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
      if (status === 503) expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
      await expectNothingOf(server, files)
      expect(await seenOf(server, kept.studyInstanceUID)).toEqual(allOf(3))
      expect(await settledHoldings(server, sql)).toEqual(before)
    }
    const next = testStudy(4)
    expect((await stow(`${server.dicomWeb}/studies`, next.files)).status).toBe(200)
    expect(await seenOf(server, next.studyInstanceUID)).toEqual(allOf(4))
    await expectConsistent(server, sql)
    await expectClean(server)
  })
})
