import { describe, expect, test } from 'vitest'
import { answers, cutsAfter, PlayServer, says } from './play-server.ts'
import { sendFolder, temporaryFolder } from './support.ts'

describe('sending again', () => {
  test.each([408, 429, 502, 503, 504])(
    '%i is tried again, and the study is stored',
    async (status) => {
      await using folder = await temporaryFolder()
      const { uids } = await folder.putStudy('a', 2)
      await using server = await PlayServer.start([says(status), answers(200, { stored: uids })])
      const { outcomes, waitsMs, said } = await sendFolder([folder.path], server.base)
      expect(outcomes[0]?.state).toBe('stored')
      expect(server.requests.length).toBe(2)
      expect(server.requests[0]?.body.length).toBe(server.requests[1]?.body.length)
      expect(waitsMs.length).toBe(1)
      expect(said[0]).toMatch(new RegExp(`^retry .*answered ${status}; again in .*attempt 2 of 3`))
    },
  )

  test.each([500, 400, 403, 413])('%i is not tried again', async (status) => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    await using server = await PlayServer.start([says(status)])
    const { outcomes } = await sendFolder([folder.path], server.base)
    expect([outcomes[0]?.state, server.requests.length]).toEqual(['incomplete', 1])
  })

  test('waits as long as Retry-After asks, in seconds or until an instant', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 1)
    const later = new Date(Date.now() + 60_000).toUTCString()
    await using server = await PlayServer.start([
      says(503, { 'retry-after': '7' }),
      says(503, { 'retry-after': later }),
      answers(200, { stored: uids }),
    ])
    const { outcomes, waitsMs } = await sendFolder([folder.path], server.base)
    expect(outcomes[0]?.state).toBe('stored')
    expect(waitsMs[0]).toBeGreaterThanOrEqual(7000)
    expect(waitsMs[0]).toBeLessThan(8000)
    expect(waitsMs[1]).toBeGreaterThan(55_000)
  })

  test('leaves a server alone that asks for more patience than ten minutes', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    await using server = await PlayServer.start([says(503, { 'retry-after': '3600' })])
    const { outcomes, waitsMs } = await sendFolder([folder.path], server.base)
    expect(outcomes[0]?.failure).toMatch(/left alone for 3600 s/)
    expect(waitsMs).toEqual([])
  })

  test('comes again when the connection is cut, with the whole request', async () => {
    await using folder = await temporaryFolder()
    const { uids, files } = await folder.putStudy('a', 2, { pixelBytes: 3_000_000 })
    await using server = await PlayServer.start([
      cutsAfter(1),
      cutsAfter(4_000_000),
      answers(200, { stored: uids }),
    ])
    const { outcomes } = await sendFolder([folder.path], server.base)
    expect(outcomes[0]?.state).toBe('stored')
    const bytes = files.reduce((sum, file) => sum + file.length, 0)
    expect(server.requests[0]?.body.length).toBeGreaterThan(bytes)
  })

  test('gives up when it has tried often enough, waiting longer each time', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    const server = await PlayServer.start([says(200)])
    const { base } = server
    await server[Symbol.asyncDispose]()
    const { outcomes, waitsMs } = await sendFolder([folder.path], base, { retries: 4 })
    expect(outcomes[0]).toMatchObject({
      state: 'incomplete',
      failure: `${new URL(base).origin} cannot be reached: nobody listens there, 5 times`,
    })
    expect(waitsMs.length).toBe(4)
    for (const [attempt, waitMs] of waitsMs.entries()) {
      expect(waitMs).toBeGreaterThanOrEqual(250 * 2 ** attempt)
      expect(waitMs).toBeLessThanOrEqual(500 * 2 ** attempt)
    }
  })

  test('a server that was never reached is told once, with its address, and ends the sending', async () => {
    await using folder = await temporaryFolder()
    for (const name of ['a', 'b', 'c', 'd']) await folder.putStudy(name, 1)
    const server = await PlayServer.start([says(200)])
    const { base } = server
    await server[Symbol.asyncDispose]()
    const { outcomes, summary } = await sendFolder([folder.path], base, { concurrency: 2 })
    expect(outcomes.map(({ state }) => state)).toEqual([
      ...['incomplete', 'incomplete'],
      ...['untried', 'untried'],
    ])
    expect(summary.match(/cannot be reached/g)).toHaveLength(1)
    const why = `gave up   ${new URL(base).origin} cannot be reached: nobody listens there, 3 times`
    expect(summary.split('\n')).toContain(why)
  })

  test('a server that goes away in the middle is tried again with each study, and told once', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 1)
    for (const name of ['b', 'c']) await folder.putStudy(name, 1)
    const server = await PlayServer.start([
      (request, answer, record) => {
        answer.once('close', () => void server[Symbol.asyncDispose]())
        return answers(200, { stored: uids })(request, answer, record)
      },
    ])
    const { outcomes, waitsMs, summary } = await sendFolder([folder.path], server.base)
    expect(outcomes.map(({ state }) => state)).toEqual(['stored', 'incomplete', 'incomplete'])
    expect(waitsMs).toHaveLength(4)
    expect(summary.match(/cannot be reached/g)).toHaveLength(1)
  })

  test('does not come again to a host that does not exist', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    const { outcomes, waitsMs } = await sendFolder([folder.path], 'http://no.such.invalid/x')
    expect(outcomes[0]?.state).toBe('incomplete')
    expect(waitsMs.length === 0 || /looked up now/.test(outcomes[0]?.failure ?? '')).toBe(true)
  })
})
