import { appendFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findStudies } from '../../server/send/find-studies.ts'
import { answers, PlayServer, partsOf, saysEarly } from './play-server.ts'
import { sendFolder, shortTimes, temporaryFolder } from './support.ts'

describe('the request that sends a study (PS3.18 10.5.1)', () => {
  test('is one for each study, to its path, with the bytes of its files and their exact length', async () => {
    await using folder = await temporaryFolder()
    const one = await folder.putStudy('a', 3)
    const other = await folder.putStudy('b', 1, { pixelBytes: 1_000_001 })
    await using server = await PlayServer.start([
      answers(200, { stored: one.uids }),
      answers(200, { stored: other.uids }),
    ])
    const { outcomes } = await sendFolder([folder.path], server.base)
    expect(outcomes.map((outcome) => outcome.state)).toEqual(['stored', 'stored'])
    expect(server.requests.map(({ method, path }) => [method, path])).toEqual([
      ['POST', `/dicom-web/studies/${one.studyInstanceUID}`],
      ['POST', `/dicom-web/studies/${other.studyInstanceUID}`],
    ])
    for (const [at, study] of [one, other].entries()) {
      const request = server.requests[at]
      if (request === undefined) throw new Error('a request is missing')
      const parts = partsOf(request)
      expect(parts.length).toBe(study.files.length)
      expect(parts.every((part, index) => part.equals(study.files[index] as Buffer))).toBe(true)
      expect(request.headers['content-length']).toBe(String(request.body.length))
      expect(request.headers['transfer-encoding']).toBeUndefined()
      expect(request.headers['content-type']).toMatch(
        /^multipart\/related; type="application\/dicom"; boundary=[\w-]+$/,
      )
      expect(request.headers.accept).toBe('application/dicom+json')
    }
  })

  test('asks for strict handling, or for lenient where that is wanted', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 1)
    await using server = await PlayServer.start([answers(200, { stored: uids })])
    await sendFolder([folder.path], server.base)
    await sendFolder([folder.path], server.base, { handling: 'lenient' })
    expect(server.requests.map(({ headers }) => headers.prefer)).toEqual([
      'handling=strict',
      'handling=lenient',
    ])
  })

  test('carries the headers that were given', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 1)
    await using server = await PlayServer.start([answers(200, { stored: uids })])
    await sendFolder([folder.path], server.base, {
      headers: { authorization: 'Bearer abc', 'x-one': ['1', '2'] },
    })
    expect(server.requests[0]?.headers).toMatchObject({
      authorization: 'Bearer abc',
      'x-one': '1, 2',
    })
  })

  test('waits for 100 Continue where the body is large, and sends nothing to who refuses', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1, { pixelBytes: 3_000_000 })
    await using server = await PlayServer.start([saysEarly(413)], 'refuse')
    const { outcomes } = await sendFolder([folder.path], server.base)
    expect(outcomes[0]?.failure).toMatch(/answered 413: .*STOWAGE_MAX_REQUEST_BYTES/)
    expect([server.receivedBytes, server.continueCount]).toEqual([0, 1])
  })

  test('does not wait for ever for a server that knows no 100 Continue', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 1, { pixelBytes: 3_000_000 })
    await using server = await PlayServer.start([answers(200, { stored: uids })], 'ignore')
    const { outcomes } = await sendFolder([folder.path], server.base)
    expect([outcomes[0]?.state, server.connectionCount]).toEqual(['stored', 1])
  })

  test('comes again without Expect after 417', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 1, { pixelBytes: 3_000_000 })
    await using server = await PlayServer.start(
      [saysEarly(417), answers(200, { stored: uids })],
      'refuse',
    )
    const { outcomes } = await sendFolder([folder.path], server.base, { retries: 0 })
    expect(outcomes[0]?.state).toBe('stored')
    expect(server.requests[0]?.headers.expect).toBeUndefined()
  })

  test('stops sending when an answer comes early, and heeds it', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 40, { pixelBytes: 4_000_000 })
    const problem = JSON.stringify({ status: 413, detail: 'Cannot store part 1: too large' })
    await using server = await PlayServer.start([
      (request, answer) => {
        // Reads a little, answers, and never reads on; the connection stays open.
        request.once('data', () => {
          request.pause()
          answer.writeHead(413, { 'content-type': 'application/problem+json' }).end(problem)
        })
        request.resume()
      },
    ])
    const { outcomes } = await sendFolder([folder.path], server.base)
    expect(outcomes[0]?.failure).toMatch(/answered 413: .*it says: Cannot store part 1: too large/)
    expect(server.receivedBytes).toBeLessThan(2_000_000)
    expect(server.connectionCount).toBe(1)
  })

  test('is read from disk no faster than the server takes it', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 1)
    const path = join(folder.path, 'a-0.dcm')
    // Sparse: half a gigabyte that costs no disk, and would be seen in memory.
    await truncate(path, 512 * 1024 ** 2)
    const found = await findStudies([folder.path])
    let mostRSS = 0
    await using server = await PlayServer.start([
      async (request, answer) => {
        let taken = 0
        for await (const chunk of request) {
          const before = taken
          taken += chunk.length
          // A pause at each 32 MiB.
          if (taken >> 25 !== before >> 25) {
            await new Promise((resolve) => setTimeout(resolve, 20))
            mostRSS = Math.max(mostRSS, process.memoryUsage().rss)
          }
        }
        await answers(200, { stored: uids })(request, answer, async () => ({
          method: '',
          path: '',
          headers: {},
          body: Buffer.alloc(0),
        }))
      },
    ])
    const before = process.memoryUsage().rss
    const { outcomes } = await sendFolder([], server.base, { found })
    expect(outcomes[0]?.state).toBe('stored')
    expect(mostRSS - before).toBeLessThan(200 * 1024 ** 2)
  })

  test.each([
    ['longer', (path: string) => appendFile(path, 'more')],
    ['shorter', (path: string) => truncate(path, 400)],
    ['gone', (path: string) => rm(path)],
  ])(
    'is broken off when a file is %s than when it was found, and says which',
    async (_, change) => {
      await using folder = await temporaryFolder()
      await folder.putStudy('a', 3)
      const found = await findStudies([folder.path])
      const path = join(folder.path, 'a-1.dcm')
      await change(path)
      await using server = await PlayServer.start([answers(200, { stored: [] })])
      const { outcomes, waitsMs } = await sendFolder([], server.base, { found })
      expect(outcomes[0]).toMatchObject({ state: 'incomplete', stored: [] })
      expect(outcomes[0]?.failure).toContain(path)
      expect([server.requests.length, waitsMs]).toEqual([0, []])
    },
  )

  test('is given up when the connection stands still', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    await using server = await PlayServer.start([(request) => void request.resume()])
    const times = { ...shortTimes, idleMs: 200, answerMs: 200 }
    const { outcomes } = await sendFolder([folder.path], server.base, { times, retries: 1 })
    expect(outcomes[0]?.failure).toBe('the connection stood still for too long, 2 times')
  })
})
