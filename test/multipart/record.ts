import { Buffer } from 'node:buffer'
import { MultipartError } from '../../server/multipart/multipart-errors.ts'
import { type MultipartLimits, MultipartReader } from '../../server/multipart/multipart-reader.ts'

/** What a reader told about one body: the data of each part joined, latin1. */
export interface Recording {
  readonly parts: { headers: Record<string, string>; data: string; isEnded: boolean }[]
  readonly error: string | undefined
  readonly status: number | undefined
}

/** How a body is cut into chunks. */
export type Cut = (body: Buffer) => Iterable<Uint8Array>

/** Reads a body and records the events; a `MultipartError` is recorded, anything else thrown. */
export function record(
  boundary: string,
  body: Buffer,
  cut: Cut,
  limits: Partial<MultipartLimits> = {},
): Recording {
  const parts: Recording['parts'] = []
  let data: Buffer[] = []
  function join(): void {
    const last = parts.at(-1)
    if (last !== undefined && !last.isEnded) last.data = Buffer.concat(data).toString('latin1')
  }
  const events = {
    partBegin(headers: ReadonlyMap<string, string>): void {
      if (parts.at(-1)?.isEnded === false) throw new Error('a part begins inside of another one')
      parts.push({ headers: Object.fromEntries(headers), data: '', isEnded: false })
      data = []
    },
    partData(bytes: Uint8Array): void {
      if (parts.at(-1)?.isEnded !== false) throw new Error('data outside of a part')
      if (bytes.length === 0) throw new Error('empty data')
      data.push(Buffer.from(bytes))
    },
    partEnd(): void {
      join()
      const last = parts.at(-1)
      if (last?.isEnded !== false) throw new Error('a part ends that did not begin')
      last.isEnded = true
    },
  }
  let error: MultipartError | undefined
  try {
    const reader = new MultipartReader(boundary, events, limits)
    for (const chunk of cut(body)) reader.push(chunk)
    reader.end()
  } catch (thrown) {
    if (!(thrown instanceof MultipartError)) throw thrown
    error = thrown
  }
  join()
  return { parts, error: error?.name, status: error?.status }
}

export function* whole(body: Buffer): Iterable<Uint8Array> {
  yield body
}

export function* singleBytes(body: Buffer): Iterable<Uint8Array> {
  for (let at = 0; at < body.length; at++) yield body.subarray(at, at + 1)
}

/** Cuts at sizes taken round robin. */
export function inSizes(sizes: readonly number[]): Cut {
  return function* cut(body) {
    let at = 0
    for (let turn = 0; at < body.length; turn++) {
      const size = Math.max(1, sizes[turn % sizes.length] ?? 1)
      yield body.subarray(at, at + size)
      at += size
    }
  }
}

/**
 * MP-16: records a body whole, cut in two at every byte, and in single bytes; all of them must tell
 * the same. Each chunk is overwritten after it was pushed: nothing may lean on an old one.
 *
 * @returns What all of them told.
 */
export function recordEveryWay(
  boundary: string,
  text: string,
  limits: Partial<MultipartLimits> = {},
): Recording {
  const body = Buffer.from(text, 'latin1')
  const expected = record(boundary, body, whole, limits)
  const json = JSON.stringify(expected)
  function check(cut: Cut, name: string): void {
    const told = JSON.stringify(record(boundary, body, overwriting(cut), limits))
    if (told !== json) throw new Error(`${name} tells ${told}, the whole body ${json}`)
  }
  check(singleBytes, 'single bytes')
  for (let at = 0; at <= body.length; at++) check(inTwo(at), `cut at ${at}`)
  return expected
}

function inTwo(at: number): Cut {
  return (body) => [body.subarray(0, at), body.subarray(at)]
}

function overwriting(cut: Cut): Cut {
  return function* overwrite(body) {
    for (const chunk of cut(body)) {
      const copy = new Uint8Array(chunk)
      yield copy
      copy.fill(0x2d)
    }
  }
}
