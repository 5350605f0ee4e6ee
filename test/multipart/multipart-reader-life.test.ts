import { Buffer } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { TruncatedMultipartError } from '../../server/multipart/multipart-errors.ts'
import { MultipartReader } from '../../server/multipart/multipart-reader.ts'
import { record, singleBytes, whole } from './record.ts'

interface Collected {
  readonly reader: MultipartReader
  readonly views: Uint8Array[]
}

function collect(boundary = 'b'): Collected {
  const views: Uint8Array[] = []
  const reader = new MultipartReader(boundary, {
    partBegin() {},
    partData(bytes) {
      views.push(bytes)
    },
    partEnd() {},
  })
  return { reader, views }
}

describe('memory', () => {
  test('data is a view into the chunk that was pushed', () => {
    const { reader, views } = collect()
    reader.push(Buffer.from('--b\r\n\r\n'))
    const memory = new ArrayBuffer(100)
    const chunk = new Uint8Array(memory, 10, 80).fill(7)
    reader.push(chunk)
    expect(views).toHaveLength(1)
    expect(views[0]?.buffer).toBe(memory)
    expect(views[0]?.byteOffset).toBe(10)
    expect(views[0]?.byteLength).toBe(80)
  })

  test('data between delimiters and look-alikes in one chunk is one view', () => {
    const { reader, views } = collect()
    const chunk = Buffer.from(
      '--b\r\n\r\none\r\n--bX\r\n--b \r\r\ntwo\r\n--b\r\n\r\nthree\r\n--b--',
    )
    reader.push(chunk)
    reader.end()
    expect(views.map((view) => view.buffer === chunk.buffer)).toEqual([true, true])
    expect(Buffer.from(views[1] ?? []).toString()).toBe('three')
  })

  test('of a chunk that ends like a delimiter, only that end is copied', () => {
    const { reader, views } = collect('boundary')
    reader.push(Buffer.from('--boundary\r\n\r\n'))
    const first = new Uint8Array(Buffer.from('0123456789\r\n--bou'))
    const second = new Uint8Array(Buffer.from('t that is all'))
    reader.push(first)
    reader.push(second)
    expect(views.map((view) => view.byteLength)).toEqual([10, 7, 13])
    expect(views[0]?.buffer).toBe(first.buffer)
    expect(views[2]?.buffer).toBe(second.buffer)
  })

  test('a copied end stays as it is when the reader goes on', () => {
    const { reader, views } = collect()
    for (const text of ['--b\r\n\r\n', '\r\n--b \t', 'x\r\n--b\t', 'y\r\n--b-', 'z\r\n--b--']) {
      reader.push(Buffer.from(text))
    }
    reader.end()
    expect(Buffer.concat(views).toString()).toBe('\r\n--b \tx\r\n--b\ty\r\n--b-z')
  })

  test('an empty chunk changes nothing', () => {
    const { reader, views } = collect()
    for (const text of ['', '--b\r\n', '', '\r\n', '', 'a\r', '', '\n--b-', '', '-', '']) {
      reader.push(Buffer.from(text))
    }
    reader.end()
    expect(Buffer.concat(views).toString()).toBe('a')
  })
})

describe('what one body said of its parts', () => {
  const bodyOf = (boundary: string, block: string) =>
    Buffer.from(`--${boundary}\r\n${block}\r\n\r\ndata\r\n--${boundary}--`)
  const told = (boundary: string, block: string, limits = {}) =>
    record(boundary, bodyOf(boundary, block), whole, limits)

  test('does not make the delimiter of another one a header', () => {
    const block = 'X: 1\r\n--other: 2'
    expect(told('b', block).parts[0]?.headers).toEqual({ x: '1', '--other': '2' })
    expect(told('other', block).error).toBe('PartHeaderError')
  })

  test('does not lift the limit of another one', () => {
    const block = `X: ${'x'.repeat(100)}`
    expect(told('b', block).error).toBeUndefined()
    expect(told('b', block, { headerBytes: 50 }).error).toBe('PartHeaderTooLargeError')
  })

  test('does not depend on where the next one is cut, nor on others that come between', () => {
    for (const [boundary, block] of [
      ['one', 'X: 1'],
      ['one', 'X: 1'],
      ['two', 'X: 12'],
      ['one', 'X: 1'],
      ['two', ''],
    ] as const) {
      const body = Buffer.from(
        `--${boundary}\r\n${block === '' ? '' : `${block}\r\n`}\r\ndata\r\n--${boundary}--`,
      )
      const headers = block === '' ? {} : { x: block.slice(3) }
      for (const cut of [whole, singleBytes]) {
        expect(record(boundary, body, cut).parts).toEqual([
          { headers, data: 'data', isEnded: true },
        ])
      }
    }
  })
})

describe('after an error or the end', () => {
  test('an error of a consumer comes out of push, and again out of every later call', () => {
    const refusal = new Error('refused')
    let partCount = 0
    const reader = new MultipartReader('b', {
      partBegin() {
        partCount++
        throw refusal
      },
      partData() {},
      partEnd() {},
    })
    const body = Buffer.from('--b\r\n\r\ndata\r\n--b\r\n\r\ndata\r\n--b--')
    expect(() => reader.push(body)).toThrow(refusal)
    expect(() => reader.push(body)).toThrow(refusal)
    expect(() => reader.end()).toThrow(refusal)
    expect(partCount).toBe(1)
  })

  test('a reader that ended takes no more', () => {
    const { reader } = collect()
    reader.push(Buffer.from('--b\r\n\r\n'))
    expect(() => reader.end()).toThrow(TruncatedMultipartError)
    expect(() => reader.push(Buffer.from('\r\n--b--'))).toThrow(TruncatedMultipartError)
    const complete = collect().reader
    complete.push(Buffer.from('--b\r\n\r\n\r\n--b--'))
    complete.end()
    expect(() => complete.end()).toThrow(TypeError)
    expect(() => complete.push(Buffer.from('x'))).toThrow(TypeError)
  })

  test('no message quotes what a header says (P10)', () => {
    for (const line of ['DOE^JOHN', 'Content-Length: DOE^JOHN', 'X: DOE^JOHN\0', 'X: DOE^JOHN\n']) {
      const push = () => collect().reader.push(Buffer.from(`--b\r\n${line}\r\n\r\n`))
      expect(push).toThrow(/part 1/)
      expect(push).not.toThrow(/DOE/)
    }
  })
})
