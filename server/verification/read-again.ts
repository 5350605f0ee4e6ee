import { createHash } from 'node:crypto'
import type { UnverifiedInstance } from '../../db/verification.ts'
import {
  SegmentNotFoundError,
  SegmentTooShortError,
  type Store,
  StoreError,
} from '../store/store.ts'

/**
 * What reading an instance found. `unreadable`: the store could not tell now, so nothing is said of the bytes.
 */
export type Finding = 'whole' | 'differs' | 'missing' | 'too short' | 'unreadable'

export interface ReadOptions {
  /** Bytes that are read at once: what lies side by side in a segment comes together. */
  extentBytes: number
  /** Extents that are read or hashed at the same time. */
  atOnce: number
  signal?: AbortSignal | undefined
  /** Is told of bytes that were read, and may take its time. */
  paced?: ((bytes: number) => Promise<void>) | undefined
}

/** For whoever waits for the result: up to 12 MiB of memory. */
export const fullSpeed = { extentBytes: 4 * 1024 * 1024, atOnce: 3 }

/** What lies between two instances of one extent: metadata, mostly. Reading on costs less than another read. */
const gapBytes = 256 * 1024
/** Below this a hash costs less than handing it over to another thread. */
const handedBytes = 32 * 1024

/**
 * Reads instances again and compares their SHA-256 with their rows.
 *
 * Instances that lie side by side are one read of some MiB, and while one such extent is hashed the next is being read.
 * Hashes of more than 32 KiB are made by WebCrypto, which has threads for it in every runtime, so the loop is free; an
 * instance that is larger than an extent is hashed as it is read, 256 KiB (0.2 ms) at a time.
 *
 * @param instances In the order in which they lie. Results come in the same order.
 */
export async function* readAgain<T extends UnverifiedInstance>(
  store: Store,
  instances: Iterable<T>,
  options: ReadOptions,
): AsyncGenerator<{ instance: T; finding: Finding }, void, void> {
  const buffers = new Buffers()
  const reading: Promise<{ instance: T; finding: Finding }[]>[] = []
  try {
    for (const extent of extentsOf(instances, options.extentBytes)) {
      options.signal?.throwIfAborted()
      const extentRead = readExtent(store, extent, options, buffers)
      // It may fail before it is its turn to be awaited.
      extentRead.catch(() => {})
      reading.push(extentRead)
      if (reading.length >= options.atOnce) yield* (await reading.shift()) ?? []
    }
    while (reading.length > 0) yield* (await reading.shift()) ?? []
  } finally {
    // Whoever leaves early does not leave reads behind.
    await Promise.allSettled(reading)
  }
}

function* extentsOf<T extends UnverifiedInstance>(
  instances: Iterable<T>,
  extentBytes: number,
): Generator<T[]> {
  let extent: T[] = []
  for (const one of instances) {
    const [first, last] = [extent[0], extent.at(-1)]
    const isNext =
      first !== undefined &&
      last !== undefined &&
      one.segmentID === first.segmentID &&
      one.segmentOffset >= endOf(last) &&
      one.segmentOffset - endOf(last) <= gapBytes &&
      endOf(one) - first.segmentOffset <= extentBytes
    if (!isNext && extent.length > 0) {
      yield extent
      extent = []
    }
    extent.push(one)
  }
  if (extent.length > 0) yield extent
}

async function readExtent<T extends UnverifiedInstance>(
  store: Store,
  extent: T[],
  options: ReadOptions,
  buffers: Buffers,
): Promise<{ instance: T; finding: Finding }[]> {
  const [first, last] = [extent[0], extent.at(-1)] as [T, T]
  const { segmentID, segmentOffset } = first
  const byteLength = endOf(last) - segmentOffset
  if (segmentID === null || extent.some((one) => one.segmentOffset < 0 || one.byteLength < 0)) {
    return extent.map((instance) => ({ instance, finding: 'missing' }))
  }
  try {
    if (byteLength > options.extentBytes) return [await readLarge(store, first, options)]
    const buffer = buffers.take(byteLength)
    const bytes = buffer.subarray(0, byteLength)
    await store.readInto(segmentID, segmentOffset, bytes)
    const findings = await Promise.all(
      extent.map(async (instance) => {
        const from = instance.segmentOffset - segmentOffset
        const digest = await digestOf(bytes.subarray(from, from + instance.byteLength))
        return {
          instance,
          finding: isEqual(digest, instance.digest) ? 'whole' : 'differs',
        } as const
      }),
    )
    buffers.give(buffer)
    await options.paced?.(byteLength)
    return findings
  } catch (error) {
    const finding = findingOf(error)
    if (finding === undefined) throw error
    // What is wrong may be so for some of them only.
    if (extent.length === 1 || finding === 'missing') {
      await options.paced?.(byteLength)
      return extent.map((instance) => ({ instance, finding }))
    }
    const findings: { instance: T; finding: Finding }[] = []
    for (const one of extent) findings.push(...(await readExtent(store, [one], options, buffers)))
    return findings
  }
}

async function readLarge<T extends UnverifiedInstance>(
  store: Store,
  instance: T,
  { signal, paced }: ReadOptions,
): Promise<{ instance: T; finding: Finding }> {
  const { segmentID, segmentOffset, byteLength } = instance
  const hash = createHash('sha256')
  for await (const chunk of store.read(segmentID as string, segmentOffset, byteLength)) {
    signal?.throwIfAborted()
    hash.update(chunk)
    await paced?.(chunk.length)
  }
  return { instance, finding: isEqual(hash.digest(), instance.digest) ? 'whole' : 'differs' }
}

/** Memory that is used again: making and clearing it for each extent took longer than reading. */
class Buffers {
  readonly #free: Uint8Array<ArrayBuffer>[] = []

  take(byteLength: number): Uint8Array<ArrayBuffer> {
    const free = this.#free.pop()
    return free !== undefined && free.length >= byteLength ? free : new Uint8Array(byteLength)
  }

  give(buffer: Uint8Array<ArrayBuffer>): void {
    this.#free.push(buffer)
  }
}

async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  if (bytes.length < handedBytes) return createHash('sha256').update(bytes).digest()
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at])
}

/** Undefined: no error of reading. */
function findingOf(error: unknown): Finding | undefined {
  if (error instanceof SegmentNotFoundError) return 'missing'
  if (error instanceof SegmentTooShortError) return 'too short'
  return error instanceof StoreError ? 'unreadable' : undefined
}

function endOf({ segmentOffset, byteLength }: UnverifiedInstance): number {
  return segmentOffset + byteLength
}
