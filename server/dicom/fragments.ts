import { Buffer } from 'node:buffer'
import { u16, u32 } from './bytes.ts'
import { StructureError } from './errors.ts'

/** Reads a range of a file. */
export type ReadRange = (offset: number, length: number) => AsyncIterable<Uint8Array>

/** Where the items of one frame are: from the first one's tag to behind the last one's value. */
export interface FrameSpan {
  start: number
  end: number
}

/** Encapsulated pixel data: where its items are, and how many frames they make. */
export interface EncapsulatedPixelData {
  /** Offset in the file of the Basic Offset Table's item. */
  offset: number
  /** Bytes up to the Sequence Delimitation Item. */
  length: number
  numberOfFrames: number
  /** Values of Extended Offset Table (7FE0,0001), where there is one. */
  extendedOffsetTable?: Uint8Array | undefined
}

const headerBytes = 8
/** Frames, and fragments without a table, that are looked for. */
const maximumFragments = 1_000_000
const itemTag = 0xfffee000

/**
 * Finds the frames of encapsulated pixel data (PS3.5 A.4).
 *
 * By the Extended Offset Table, else the Basic Offset Table, if what they say is true. Without one: a fragment is a
 * frame; or all are one; or a frame begins where a fragment begins as a code stream does.
 *
 * @returns As many as there are frames, in order.
 * @throws {StructureError} the fragments cannot be told apart
 */
export async function locateFrames(
  read: ReadRange,
  pixelData: EncapsulatedPixelData,
): Promise<FrameSpan[]> {
  const { offset, length, numberOfFrames } = pixelData
  if (numberOfFrames > maximumFragments) throw tooMany()
  const end = offset + length
  const tableBytes = await itemLength(read, offset, end)
  const base = offset + headerBytes + tableBytes
  const extended = pixelData.extendedOffsetTable
  const offsets =
    extended !== undefined && extended.length > 0
      ? offsetsOf(extended, 8)
      : offsetsOf(
          await whole(read, offset + headerBytes, Math.min(tableBytes, 4 * maximumFragments)),
          4,
        )
  if (offsets.length >= numberOfFrames && numberOfFrames > 1) {
    const spans = offsets.map((at, index) => ({
      start: base + at,
      end: index + 1 < offsets.length ? base + (offsets[index + 1] as number) : end,
    }))
    if (await areTrue(read, spans, base, end)) return spans.slice(0, numberOfFrames)
  }
  if (numberOfFrames === 1) return [{ start: base, end }]
  return spansWithoutTable(read, base, end, numberOfFrames)
}

/** The fragments of one frame, without their headers: its code stream. */
export async function* readFrame(
  read: ReadRange,
  { start, end }: FrameSpan,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const fragment of fragmentsOf(read, start, end)) {
    yield* read(fragment.start + headerBytes, fragment.end - fragment.start - headerBytes)
  }
}

/** Bytes of a frame's code stream. */
export async function frameLength(read: ReadRange, { start, end }: FrameSpan): Promise<number> {
  let length = 0
  for await (const fragment of fragmentsOf(read, start, end)) {
    length += fragment.end - fragment.start - headerBytes
  }
  return length
}

async function spansWithoutTable(
  read: ReadRange,
  base: number,
  end: number,
  numberOfFrames: number,
): Promise<FrameSpan[]> {
  const fragments: FrameSpan[] = []
  for await (const fragment of fragmentsOf(read, base, end)) {
    if (fragments.push(fragment) > maximumFragments) throw tooMany()
  }
  if (fragments.length === numberOfFrames) return fragments
  const starts: number[] = []
  for (const { start, end } of fragments) {
    const first = await whole(read, start + headerBytes, Math.min(4, end - start - headerBytes))
    if (beginsCodeStream(first)) starts.push(start)
  }
  if (starts.length !== numberOfFrames || starts[0] !== base) {
    throw new StructureError(
      `${fragments.length} fragments without an offset table cannot be told apart as ${numberOfFrames} frames`,
    )
  }
  return starts.map((start, index) => ({ start, end: starts[index + 1] ?? end }))
}

/** JPEG and JPEG-LS begin with SOI and another marker, JPEG 2000 with SOC and SIZ, or in a JP2 box; JPEG XL with FF0A. */
function beginsCodeStream(bytes: Uint8Array): boolean {
  if (bytes.length < 3) return false
  const first = ((bytes[0] as number) << 8) | (bytes[1] as number)
  return (first === 0xffd8 && bytes[2] === 0xff) || (first === 0xff4f && bytes[2] === 0xff)
}

async function* fragmentsOf(
  read: ReadRange,
  start: number,
  end: number,
): AsyncGenerator<FrameSpan, void, void> {
  for (let at = start; at < end; ) {
    const next = at + headerBytes + (await itemLength(read, at, end))
    yield { start: at, end: next }
    at = next
  }
}

async function itemLength(read: ReadRange, at: number, end: number): Promise<number> {
  const header = await whole(read, at, Math.min(headerBytes, end - at))
  const length = header.length === headerBytes ? u32(header, 4, false) : Number.POSITIVE_INFINITY
  if (tagAt(header) !== itemTag || at + headerBytes + length > end) {
    throw new StructureError(`no fragment at offset ${at}`)
  }
  return length
}

function tagAt(bytes: Uint8Array): number {
  return bytes.length < 4 ? 0 : ((u16(bytes, 0, false) << 16) | u16(bytes, 2, false)) >>> 0
}

/** Whether a table's offsets ascend, and its first and last name an item. Writers get them wrong. */
async function areTrue(
  read: ReadRange,
  spans: FrameSpan[],
  base: number,
  end: number,
): Promise<boolean> {
  if (spans[0]?.start !== base) return false
  for (const { start, end: next } of spans) {
    if (!(start + headerBytes <= next && next <= end)) return false
  }
  for (const { start } of [spans[0], spans.at(-1)] as [FrameSpan, FrameSpan]) {
    if (tagAt(await whole(read, start, 4)) !== itemTag) return false
  }
  return true
}

function offsetsOf(table: Uint8Array, size: 4 | 8): number[] {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength)
  const offsets: number[] = []
  for (let at = 0; at + size <= table.length; at += size) {
    offsets.push(size === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true)))
  }
  return offsets
}

async function whole(read: ReadRange, offset: number, length: number): Promise<Uint8Array> {
  if (length <= 0) return Buffer.alloc(0)
  const chunks: Uint8Array[] = []
  for await (const chunk of read(offset, length)) chunks.push(chunk)
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks)
}

function tooMany(): StructureError {
  return new StructureError(`there are more than ${maximumFragments} fragments`)
}
