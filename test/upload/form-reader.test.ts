import { Buffer } from 'node:buffer'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { BodyCutError } from '../../server/http/body.ts'
import { readForm } from '../../server/upload/form-reader.ts'
import { boundary, type Entry, file, formBody, formType, piecesOf } from './form.ts'

const limits = { parts: 100 }

async function read(body: AsyncIterable<Uint8Array>, contentType: string | null = formType) {
  const read: { name: string; content: string }[] = []
  for await (const part of readForm(body, contentType, limits)) {
    if (part.kind === 'field') {
      read.push({ name: part.name, content: part.value })
    } else {
      const chunks: Uint8Array[] = []
      for await (const bytes of part.bytes) chunks.push(bytes)
      read.push({ name: part.fileName, content: Buffer.concat(chunks).toString('latin1') })
    }
  }
  return read
}

const entries: Entry[] = [
  { name: 'handling', value: 'lenient' },
  file('a/b/1.dcm', Buffer.from('first')),
  file('2.dcm', Buffer.alloc(700_000, 'x')),
  file('', Buffer.alloc(0)),
  file('Müller.dcm', Buffer.from('\r\n--form-bound\r\n--')),
  { name: 'last', value: 'field' },
]
const whole = [
  { name: 'handling', content: 'lenient' },
  { name: 'a/b/1.dcm', content: 'first' },
  { name: '2.dcm', content: 'x'.repeat(700_000) },
  { name: '', content: '' },
  { name: 'Müller.dcm', content: '\r\n--form-bound\r\n--' },
  { name: 'last', content: 'field' },
]

describe('reading a form (RFC 7578)', () => {
  test.each([7, 1000, 65_536, 10_000_000])(
    'gives fields and files in their order, in pieces of %d bytes',
    async (pieceBytes) => {
      expect(await read(piecesOf(formBody(entries), pieceBytes))).toEqual(whole)
    },
  )

  test('drops what is not read of a file, and goes on', async () => {
    const names: string[] = []
    for await (const part of readForm(piecesOf(formBody(entries), 5000), formType, limits)) {
      if (part.kind === 'file') names.push(part.fileName)
    }
    expect(names).toEqual(['a/b/1.dcm', '2.dcm', '', 'Müller.dcm'])
  })

  test('reads the body no faster than its files are read', async () => {
    const pieceBytes = 65_536
    let readBytes = 0
    const body = formBody([
      file('big', Buffer.alloc(20_000_000)),
      file('next', Buffer.alloc(5_000_000)),
    ])
    async function* counted() {
      for await (const piece of piecesOf(body, pieceBytes)) {
        readBytes += piece.length
        yield piece
      }
    }
    let takenBytes = 0
    let mostAhead = 0
    for await (const part of readForm(counted(), formType, limits)) {
      if (part.kind !== 'file') continue
      await sleep(20)
      for await (const bytes of part.bytes) {
        mostAhead = Math.max(mostAhead, readBytes - takenBytes)
        takenBytes += bytes.length
        if (takenBytes % 20 === 0) await sleep(1)
      }
    }
    expect(takenBytes).toBe(25_000_000)
    expect(mostAhead).toBeLessThan(256 * 1024 + 4 * pieceBytes)
  })

  test('breaks off a file with the error of the body, also when the form was complete so far', async () => {
    const body = formBody([file('1', Buffer.alloc(500_000)), file('2', Buffer.alloc(500_000))])
    async function* cut() {
      yield* piecesOf(body.subarray(0, 700_000), 65_536)
      throw new BodyCutError(700_000)
    }
    await expect(read(cut())).rejects.toThrow(BodyCutError)
  })

  test.each([
    ['ends before its last delimiter', formBody(entries).subarray(0, 400_000)],
    ['ends between two parts', formBody(entries).subarray(0, -boundary.length - 6)],
    ['has no delimiter at all', Buffer.alloc(100_000)],
    ['is empty', Buffer.alloc(0)],
    [
      'has a header without end',
      Buffer.from(`--${boundary}\r\nContent-Disposition: ${'x'.repeat(20_000)}`),
    ],
  ])('refuses a form that %s', async (_, body) => {
    await expect(read(piecesOf(body, 65_536))).rejects.toMatchObject({ status: 400 })
  })

  test('refuses more files than are allowed', async () => {
    const many = Array.from({ length: 101 }, (_, index) => file(`${index}`, Buffer.from('x')))
    await expect(read(piecesOf(formBody(many), 1000))).rejects.toMatchObject({ status: 413 })
  })

  test.each([
    [null, 415],
    ['application/x-www-form-urlencoded', 415],
    ['multipart/form-datax; boundary=x', 415],
    ['multipart/form-data', 400],
  ])('answers %s with %d', async (contentType, status) => {
    await expect(read(piecesOf(formBody(entries), 1000), contentType)).rejects.toMatchObject({
      status,
    })
  })

  test('lets go of the body when somebody stops reading', async () => {
    let isReleased = false
    async function* body() {
      try {
        yield* piecesOf(formBody([file('1', Buffer.alloc(9_000_000))]), 65_536)
      } finally {
        isReleased = true
      }
    }
    for await (const _ of readForm(body(), formType, limits)) break
    await expect.poll(() => isReleased).toBe(true)
  })
})
