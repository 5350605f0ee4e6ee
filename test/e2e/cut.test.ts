import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import type postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  allOf,
  expectClean,
  expectConsistent,
  expectNothingOf,
  filesOf,
  type Holdings,
  seenOf,
  settledHoldings,
  type TestStudy,
  testStudy,
} from '../support/archive.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import {
  boundary,
  chunkEncoded,
  multipartBody,
  multipartType,
  postChunked,
  requestHead,
  sendRaw,
  stow,
} from '../support/stow.ts'

let server: StowageServer
let sql: postgres.Sql

beforeAll(async () => {
  server = await startServer({ env: { STOWAGE_IDLE_SECONDS: '1' } })
  sql = await server.connect()
  await stow(`${server.dicomWeb}/studies`, testStudy(2).files)
})

afterAll(async () => {
  await sql?.end({ timeout: 1 })
  await server?.[Symbol.asyncDispose]()
})

/** Runs something that must leave no trace, and looks for traces; then a whole request is stored. */
async function leavesNothing(study: TestStudy, attempt: () => Promise<unknown>): Promise<void> {
  const before = await settledHoldings(server, sql)
  await attempt()
  const after = await settledHoldings(server, sql)
  expect(withoutRefusals(after)).toEqual(withoutRefusals(before))
  await expectNothingOf(server, study)
  const answer = await stow(`${server.dicomWeb}/studies`, testStudy(1).files)
  expect(answer.status).toBe(200)
}

function withoutRefusals({ refusals, ...holdings }: Holdings): Omit<Holdings, 'refusals'> {
  return holdings
}

/** Every place where a body may break off, in bytes from its front. */
function cutsOf(body: Buffer, files: Buffer[]): [name: string, at: number][] {
  const delimiter = `\r\n--${boundary}`
  const header = 'Content-Type: application/dicom\r\n\r\n'
  const second = body.indexOf(delimiter)
  const third = body.indexOf(delimiter, second + 1)
  const closing = body.lastIndexOf(delimiter)
  const firstPart = body.indexOf(header) + header.length
  return [
    ['before the first byte', 0],
    ['in the first delimiter', 4],
    ['in the header of the first part', firstPart - 20],
    ['in the empty line after a header', firstPart - 2],
    ['between a header and its part', firstPart],
    ['in the head of the first part', firstPart + 300],
    ['in the pixel data of the second part', third - 40],
    ['at the end of the first part, before its delimiter', second],
    ['after the CR of a delimiter', third + 1],
    ['in a delimiter', third + 10],
    ['exactly behind a delimiter', third + delimiter.length + 2],
    ['in the header of the last part', third + delimiter.length + 20],
    ['in the last part', closing - (files.at(-1)?.length ?? 0) / 2],
    ['before the closing delimiter', closing],
    ['in the closing delimiter', closing + 9],
    ['before the two hyphens of the closing delimiter', closing + delimiter.length],
    ['between the two hyphens of the closing delimiter', closing + delimiter.length + 1],
  ]
}

const path = '/dicom-web/studies'
const closingBytes = `\r\n--${boundary}--\r\n`.length

/** Sends, and ends the connection as soon as a condition holds. */
async function cutWhen(
  bytes: Buffer,
  end: 'fin' | 'rst',
  condition: () => Promise<boolean>,
): Promise<string> {
  const socket = connect(server.port, '127.0.0.1')
  let answer = ''
  socket.on('data', (piece) => {
    answer += piece
  })
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(bytes)
  await server.until(condition)
  if (end === 'fin') socket.end()
  else socket.resetAndDestroy()
  await closed
  return answer
}

describe('a body that breaks off (OTA-1, MP-26, MP-27)', () => {
  const names = cutsOf(multipartBody(testStudy(3).files), testStudy(3).files).map(([name]) => name)

  test.each(names)('leaves nothing when it is cut %s, however it is framed', async (name) => {
    const study = testStudy(3)
    const body = multipartBody(study.files)
    const at = cutsOf(body, study.files).find(([one]) => one === name)?.[1] as number
    const cut = body.subarray(0, at)
    const withLength = Buffer.concat([requestHead(path, { 'content-length': body.length }), cut])
    const chunked = requestHead(path, { 'transfer-encoding': 'chunked' })
    const unfinished = Buffer.concat([chunked, chunkEncoded(cut, 1000, false)])
    // The message ends as HTTP wants it, so here nothing but the multipart body tells.
    const shortMessage = Buffer.concat([requestHead(path, { 'content-length': at }), cut])
    const finished = Buffer.concat([chunked, chunkEncoded(cut, 1000)])

    await leavesNothing(study, async () => {
      for (const bytes of [withLength, unfinished]) {
        expect(await sendRaw(server.port, bytes, 'fin')).not.toMatch(/^HTTP\/1\.1 2/)
        expect(await sendRaw(server.port, bytes, 'rst')).not.toMatch(/^HTTP\/1\.1 2/)
      }
      for (const bytes of [shortMessage, finished]) {
        expect(await sendRaw(server.port, bytes, 'wait')).toMatch(/^HTTP\/1\.1 400 /)
      }
    })
  })

  test('leaves nothing when the multipart body is whole but the message is not (MP-27)', async () => {
    const study = testStudy(3)
    const body = multipartBody(study.files)
    const announced = requestHead(path, { 'content-length': body.length + 1 })
    const chunked = requestHead(path, { 'transfer-encoding': 'chunked' })
    await leavesNothing(study, async () => {
      for (const end of ['fin', 'rst'] as const) {
        const tooLarge = Buffer.concat([announced, body])
        expect(await sendRaw(server.port, tooLarge, end)).not.toMatch(/^HTTP\/1\.1 2/)
        const noLastChunk = Buffer.concat([chunked, chunkEncoded(body, 1000, false)])
        expect(await sendRaw(server.port, noLastChunk, end)).not.toMatch(/^HTTP\/1\.1 2/)
      }
    })
  })

  test.each([
    ['in its last part', -1_000_000],
    ['before its closing delimiter', -closingBytes],
    ['behind its closing delimiter, but before the message ends', 0],
  ])('leaves nothing when it is cut %s, long after it began to be stored', async (_, cut) => {
    const study = testStudy(3, 2_000_000)
    const body = multipartBody(study.files)
    const sent = cut === 0 ? body : body.subarray(0, cut)
    const announced = requestHead(path, { 'content-length': body.length + 1 })
    const chunked = requestHead(path, { 'transfer-encoding': 'chunked' })
    await leavesNothing(study, async () => {
      for (const bytes of [
        Buffer.concat([announced, sent]),
        Buffer.concat([chunked, chunkEncoded(sent, 50_000, false)]),
      ]) {
        for (const end of ['fin', 'rst'] as const) {
          const { bytes: before } = await filesOf(server.storeDir)
          const answer = await cutWhen(bytes, end, async () => {
            return (await filesOf(server.storeDir)).bytes > before + 4_000_000
          })
          expect(answer).not.toMatch(/^HTTP\/1\.1 2/)
          await settledHoldings(server, sql)
          expect((await filesOf(server.storeDir)).bytes).toBe(before)
        }
      }
    })
  })

  test('leaves nothing when Content-Length is too small', async () => {
    const study = testStudy(3)
    const body = multipartBody(study.files)
    await leavesNothing(study, async () => {
      const head = requestHead(path, { 'content-length': body.length - 100 })
      const answer = await sendRaw(server.port, Buffer.concat([head, body]), 'wait')
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    })
  })

  test('leaves nothing when a chunk is not as long as it says', async () => {
    const study = testStudy(3)
    const body = chunkEncoded(multipartBody(study.files), 1000)
    body.write('3f0', 0, 'latin1')
    const head = requestHead(path, { 'transfer-encoding': 'chunked' })
    await leavesNothing(study, async () => {
      const answer = await sendRaw(server.port, Buffer.concat([head, body]), 'fin')
      expect(answer).not.toMatch(/^HTTP\/1\.1 2/)
    })
  })

  test('is whole when only the line end after the closing delimiter is missing', async () => {
    const study = testStudy(3)
    const body = multipartBody(study.files).subarray(0, -2)
    const head = requestHead(path, { 'content-length': body.length })
    const answer = await sendRaw(server.port, Buffer.concat([head, body]), 'wait')
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(await seenOf(server, study.studyInstanceUID)).toEqual(allOf(3))
  })

  test('leaves nothing of a single instance, in either framing (ST-M2)', async () => {
    const study = testStudy(1, 100_000)
    const [file] = study.files as [Buffer]
    const cut = file.subarray(0, 60_000)
    const type = { 'content-type': 'application/dicom' }
    await leavesNothing(study, async () => {
      const announced = requestHead(path, { ...type, 'content-length': file.length })
      const chunked = requestHead(path, { ...type, 'transfer-encoding': 'chunked' })
      for (const end of ['fin', 'rst'] as const) {
        await sendRaw(server.port, Buffer.concat([announced, cut]), end)
        await sendRaw(server.port, Buffer.concat([chunked, chunkEncoded(cut, 9000, false)]), end)
      }
    })
  })
})

describe('a sender that stalls', () => {
  test('is told so after the idle time, and nothing is left', async () => {
    const study = testStudy(3)
    const body = multipartBody(study.files)
    const head = requestHead(path, { 'content-length': body.length })
    await leavesNothing(study, async () => {
      const bytes = Buffer.concat([head, body.subarray(0, body.length - 500)])
      expect(await sendRaw(server.port, bytes, 'wait')).toMatch(/^HTTP\/1\.1 408 /)
    })
  })

  test.each([
    ['POST /theme', 'application/x-www-form-urlencoded'],
    ['PUT /api/quiet-rules', 'application/json'],
    ['PUT /api/consumers/somebody', 'application/json'],
  ])('is told so where it has some lines to say, too: %s (P3)', async (what, type) => {
    const lines = [`${what} HTTP/1.1`, `Host: localhost`, `Content-Type: ${type}`]
    const head = [...lines, 'Content-Length: 10', '', '{'].join('\r\n')
    expect(await sendRaw(server.port, Buffer.from(head), 'wait')).toMatch(/^HTTP\/1\.1 408 /)
  })

  test('is told so before it has sent anything', async () => {
    const study = testStudy(1)
    await leavesNothing(study, async () => {
      const head = requestHead(path, { 'content-length': 10_000 })
      expect(await sendRaw(server.port, head, 'wait')).toMatch(/^HTTP\/1\.1 408 /)
    })
  })
})

describe('a body that is not what was sent', () => {
  test('leaves nothing when its gzip is cut, although the message is whole', async () => {
    const study = testStudy(3)
    const packed = gzipSync(multipartBody(study.files))
    await leavesNothing(study, async () => {
      // The last eight bytes of gzip are the checksum and the length.
      for (const bytes of [packed.length - 4, packed.length - 9, packed.length / 2, 20]) {
        const cut = packed.subarray(0, bytes)
        const head = requestHead(path, { 'content-encoding': 'gzip', 'content-length': cut.length })
        const answer = await sendRaw(server.port, Buffer.concat([head, cut]), 'wait')
        expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      }
    })
  })

  test('leaves nothing when its gzip is cut with the message', async () => {
    const study = testStudy(3)
    const packed = gzipSync(multipartBody(study.files))
    const head = requestHead(path, { 'content-encoding': 'gzip', 'content-length': packed.length })
    await leavesNothing(study, async () => {
      const bytes = Buffer.concat([head, packed.subarray(0, packed.length / 2)])
      expect(await sendRaw(server.port, bytes, 'fin')).not.toMatch(/^HTTP\/1\.1 2/)
      expect(await sendRaw(server.port, bytes, 'rst')).not.toMatch(/^HTTP\/1\.1 2/)
    })
  })

  test('leaves nothing when it has another digest than declared (RFC 9530)', async () => {
    const study = testStudy(3)
    const other = createHash('sha256').update('something else').digest('base64')
    await leavesNothing(study, async () => {
      for (const field of ['content-digest', 'repr-digest']) {
        const headers = { [field]: `sha-256=:${other}:` }
        const answer = await stow(`${server.dicomWeb}/studies`, study.files, headers)
        expect(answer.status).toBe(400)
      }
    })
  })
})

describe('a request on its way', () => {
  test('is seen by nobody before its end, and all of it at once afterwards', async () => {
    const count = 40
    const study = testStudy(count)
    const seen = new Set<number>()
    async function poll(): Promise<number> {
      const { study: counted, search } = await seenOf(server, study.studyInstanceUID)
      seen.add(counted)
      seen.add(search)
      return search
    }
    const body = multipartBody(study.files)
    const piece = Math.ceil(body.length / 20)
    async function* slowly() {
      for (let at = 0; at < body.length; at += piece) {
        yield body.subarray(at, at + piece)
        // Also after the closing delimiter: the message goes on until its last chunk.
        expect(await poll()).toBe(0)
      }
    }
    let isAnswered = false
    const answer = postChunked(
      `${server.url}${path}`,
      { 'content-type': multipartType },
      slowly(),
    ).finally(() => {
      isAnswered = true
    })
    while (!isAnswered) await poll()
    expect((await answer).status).toBe(200)
    expect(await seenOf(server, study.studyInstanceUID)).toEqual(allOf(count))
    expect([...seen].sort((a, b) => a - b)).toEqual([0, count].slice(0, seen.size))
  })
})

test('what was stored between all these is consistent, and "stowage check" agrees', async () => {
  await settledHoldings(server, sql)
  await expectConsistent(server, sql)
  await expectClean(server)
  expect(server.log).not.toMatch(/deadlock|unhandled/i)
})
