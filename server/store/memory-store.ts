import {
  type SegmentEntry,
  SegmentNotFoundError,
  SegmentTooShortError,
  type SegmentWriter,
  type Store,
  StoreError,
} from './store.ts'

const readBytes = 1024 * 1024

/** Keeps segments in memory: for tests of what stands on a store. Nothing of it is durable. */
export function memoryStore(): Store {
  const segments = new Map<
    string,
    Omit<SegmentEntry, 'byteLength' | 'segmentID'> & { bytes: Uint8Array }
  >()
  return {
    async create(segmentID) {
      if (segments.has(segmentID)) {
        throw new StoreError('create a segment', new Error('it is there already'))
      }
      segments.set(segmentID, { bytes: new Uint8Array(), modifiedAt: new Date(), isKept: false })
      return new MemorySegmentWriter(segmentID, (bytes) => {
        const segment = segments.get(segmentID)
        if (segment !== undefined) Object.assign(segment, { bytes, modifiedAt: new Date() })
      })
    },

    async *read(segmentID, offset, length) {
      const segment = segments.get(segmentID)
      if (segment === undefined) throw new SegmentNotFoundError(segmentID)
      if (offset + length > segment.bytes.length) {
        throw new SegmentTooShortError(segmentID, offset + length, segment.bytes.length)
      }
      for (let at = offset; at < offset + length; at += readBytes) {
        yield segment.bytes.subarray(at, Math.min(at + readBytes, offset + length))
      }
    },

    async readRanges(segmentID, ranges, into) {
      let at = 0
      for (const { offset, length } of ranges) {
        await this.readInto(segmentID, offset, into.subarray(at, at + length))
        at += length
      }
    },

    async readInto(segmentID, offset, into) {
      let at = 0
      for await (const chunk of this.read(segmentID, offset, into.length)) {
        into.set(chunk, at)
        at += chunk.length
      }
    },

    async keep(segmentID) {
      const segment = segments.get(segmentID)
      if (segment === undefined)
        throw new StoreError('keep a segment', new Error('it is not there'))
      segment.isKept = true
    },

    async delete(segmentID) {
      if (segments.get(segmentID)?.isKept) return false
      segments.delete(segmentID)
      return true
    },

    async discard(segmentID) {
      segments.delete(segmentID)
    },

    async *list() {
      for (const [segmentID, { bytes, ...entry }] of segments) {
        yield { segmentID, byteLength: bytes.length, ...entry } satisfies SegmentEntry
      }
    },

    async probe() {},
  }
}

class MemorySegmentWriter implements SegmentWriter {
  readonly segmentID: string
  readonly #keep: (bytes: Uint8Array) => void
  #chunks: Uint8Array[] = []
  #byteLength = 0
  #ended: string | undefined

  constructor(segmentID: string, keep: (bytes: Uint8Array) => void) {
    this.segmentID = segmentID
    this.#keep = keep
  }

  get byteLength(): number {
    return this.#byteLength
  }

  append(bytes: Uint8Array): void {
    this.#mustBeOpen()
    this.#chunks.push(bytes)
    this.#byteLength += bytes.length
  }

  rewind(offset: number): void {
    this.#mustBeOpen()
    this.#chunks = [joined(this.#chunks).subarray(0, offset)]
    this.#byteLength = offset
  }

  get isBehind(): boolean {
    return this.#ended !== undefined
  }

  async drain(): Promise<void> {
    this.#mustBeOpen()
  }

  async sync(): Promise<void> {
    this.#mustBeOpen()
    const bytes = joined(this.#chunks)
    this.#chunks = [bytes]
    this.#keep(bytes)
  }

  async seal(): Promise<void> {
    this.#mustBeOpen()
    this.#ended = 'it is sealed'
    this.#keep(joined(this.#chunks))
  }

  async abandon(byteLength?: number): Promise<void> {
    const isOpen = this.#ended === undefined
    this.#ended = 'it was abandoned'
    if (isOpen && byteLength !== undefined) {
      this.#keep(joined(this.#chunks).subarray(0, byteLength))
    }
    this.#chunks = []
  }

  #mustBeOpen(): void {
    if (this.#ended !== undefined) {
      throw new StoreError('write to a segment', new Error(this.#ended))
    }
  }
}

function joined(chunks: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks))
}
