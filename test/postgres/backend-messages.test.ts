import { expect, test } from 'vitest'
import { BackendMessages, type FatalError } from '../../server/postgres/backend-messages.ts'

const authenticated = message('R', '\0\0\0\0')
const ready = message('Z', 'I')
const row = message('D', 'E\0\0\0\u0008 is no message in here')
const error = message('E', 'SERROR\0VERROR\0C22012\0Mdivision by zero\0\0')
const fatal = message('E', 'SSCHLUSS\0VFATAL\0C57P01\0Mthe end\0\0')
const notice = message('N', 'SFATAL\0VFATAL\0\0')

test('however what Postgres sends is split, all is handed on up to a fatal error, and nothing of that or after it', () => {
  const before = Buffer.concat([authenticated, ready, row, error, ready, notice, row])
  const bytes = Buffer.concat([before, fatal, ready])
  for (const size of [1, 2, 3, 5, 7, 11, 64, bytes.length]) {
    const messages = new BackendMessages()
    const handedOn: Buffer[] = []
    let end: FatalError | undefined
    for (let at = 0; at < bytes.length && end === undefined; at += size) {
      const taken = messages.take(bytes.subarray(at, at + size))
      handedOn.push(taken.bytes)
      end = taken.fatal
    }
    expect(Buffer.concat(handedOn).equals(before)).toBe(true)
    expect(end?.bytes.equals(fatal)).toBe(true)
    expect(end?.fields).toEqual({
      severity_local: 'SCHLUSS',
      severity: 'FATAL',
      code: '57P01',
      message: 'the end',
    })
    expect(messages.isReady).toBe(true)
  }
})

test('Postgres is ready when all of its message is there that says so', () => {
  const messages = new BackendMessages()
  messages.take(Buffer.concat([authenticated, ready.subarray(0, 5)]))
  expect(messages.isReady).toBe(false)
  messages.take(ready.subarray(5))
  expect(messages.isReady).toBe(true)
})

test('what is no Postgres is handed on as it comes', () => {
  const messages = new BackendMessages()
  const answer = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')
  expect(messages.take(answer)).toEqual({ bytes: answer, fatal: undefined })
  expect(messages.isReady).toBe(false)
})

function message(type: string, body: string): Buffer {
  const head = Buffer.from(`${type}\0\0\0\0`)
  head.writeUInt32BE(4 + Buffer.byteLength(body), 1)
  return Buffer.concat([head, Buffer.from(body)])
}
