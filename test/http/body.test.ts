import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { BodyCutError, checkBody, readBody } from '../../server/http/body.ts'

const limits = { requestBytes: 1000, inflateRatio: 100, idleMs: 10_000 }

function request(chunks: Iterable<Uint8Array>, headers: Record<string, string> = {}): Request {
  return requestOf(
    new ReadableStream({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(chunk)
        controller.close()
      },
    }),
    headers,
  )
}

function requestOf(body: ReadableStream, headers: Record<string, string>): Request {
  return new Request('http://x/', { method: 'POST', body, headers, duplex: 'half' } as RequestInit)
}

async function read(from: Request, with_ = limits): Promise<{ body: Buffer; received: number }> {
  const chunks: Uint8Array[] = []
  let received = 0
  const told = (bytes: number) => {
    received += bytes
  }
  for await (const chunk of readBody(from, with_, told)) chunks.push(chunk)
  return { body: Buffer.concat(chunks), received }
}

const failure = (status: number) => expect.objectContaining({ status })

describe('The head of a request with a body', () => {
  test('tells how much is announced', () => {
    expect(checkBody(new Headers({ 'content-length': '1000' }), limits)).toBe(1000)
    expect(checkBody(new Headers(), limits)).toBeUndefined()
  })

  test('is refused with 413 over the limit, with 415 for an encoding that is not decoded', () => {
    const head = (headers: Record<string, string>) => () => checkBody(new Headers(headers), limits)
    expect(head({ 'content-length': '1001' })).toThrow(failure(413))
    expect(head({ 'content-encoding': 'br' })).toThrow(failure(415))
    expect(head({ 'content-encoding': ' GZip ' })).not.toThrow()
  })
})

describe('The body of a request', () => {
  test('comes as it is, and its bytes are counted', async () => {
    const { body, received } = await read(request([Buffer.from('ab'), Buffer.from('c')]))
    expect(body.toString()).toBe('abc')
    expect(received).toBe(3)
  })

  test('comes decoded; the bytes that are counted are those of the network', async () => {
    const gzipped = gzipSync(Buffer.alloc(900, 'x'))
    const bytes = [...gzipped].map((byte) => Uint8Array.of(byte))
    const { body, received } = await read(request(bytes, { 'content-encoding': 'gzip' }))
    expect(body.equals(Buffer.alloc(900, 'x'))).toBe(true)
    expect(received).toBe(gzipped.length)
  })

  test('is refused with 413 as soon as it is over the limit', async () => {
    let pulled = 0
    const endless = new ReadableStream({
      pull(controller) {
        pulled++
        controller.enqueue(Buffer.alloc(400))
      },
    })
    await expect(read(requestOf(endless, {}))).rejects.toThrow(failure(413))
    expect(pulled).toBeLessThan(10)
  })

  test('is refused with 413 when it inflates over the limit', async () => {
    const bomb = gzipSync(Buffer.alloc(1001))
    const gzip = { 'content-encoding': 'gzip' }
    await expect(read(request([bomb], gzip))).rejects.toThrow(failure(413))
  })

  test('is refused with 413 when it inflates to many times its size', async () => {
    const bomb = gzipSync(Buffer.alloc(66 * 1024 * 1024))
    const gzip = { 'content-encoding': 'gzip' }
    const generous = { ...limits, requestBytes: 2 ** 40 }
    await expect(read(request([bomb], gzip), { ...generous, inflateRatio: 10 })).rejects.toThrow(
      failure(413),
    )
    const { body } = await read(request([bomb], gzip), { ...generous, inflateRatio: 100 })
    expect(body.length).toBe(66 * 1024 * 1024)
  })

  test.each([
    ['no gzip', Buffer.from('text')],
    ['cut', gzipSync('text').subarray(0, -9)],
    ['empty', Buffer.alloc(0)],
  ])('is refused with 400 when it says gzip and is %s', async (_how, bytes) => {
    const gzip = { 'content-encoding': 'gzip' }
    await expect(read(request(bytes.length ? [bytes] : [], gzip))).rejects.toThrow(failure(400))
  })

  test('is cut when less comes than was announced, or the stream breaks', async () => {
    const short = request([Buffer.from('abc')], { 'content-length': '4' })
    await expect(read(short)).rejects.toThrow(BodyCutError)
    const broken = new ReadableStream({
      pull(controller) {
        controller.error(new Error('reset'))
      },
    })
    await expect(read(requestOf(broken, {}))).rejects.toThrow(BodyCutError)
    const gzip = { 'content-encoding': 'gzip' }
    const brokenGzip = new ReadableStream({
      start(controller) {
        controller.enqueue(gzipSync('text').subarray(0, 8))
      },
      pull(controller) {
        controller.error(new Error('reset'))
      },
    })
    await expect(read(requestOf(brokenGzip, gzip))).rejects.toThrow(BodyCutError)
  })

  test('is refused with 408 when the sender says nothing for too long', async () => {
    let isCancelled = false
    const silent = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from('a'))
      },
      cancel() {
        isCancelled = true
      },
    })
    const impatient = { ...limits, idleMs: 20 }
    await expect(read(requestOf(silent, {}), impatient)).rejects.toThrow(failure(408))
    expect(isCancelled).toBe(true)
  })
})
