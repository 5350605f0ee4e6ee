import { Buffer } from 'node:buffer'
import { ByteReader } from './byte-reader.ts'
import { isLetters, tagName, u16, u32 } from './bytes.ts'
import { dictionaryVR } from './dictionary.ts'
import { elementHeader, itemHeader, undefinedLength } from './element-writer.ts'
import { TruncatedError } from './errors.ts'
import { DATA_SET, FRAGMENTS, Level, SEQUENCE, tagPath } from './level.ts'
import { definiteVR, OB, OW, UN } from './open-vr.ts'
import type { TransferSyntax } from './transfer-syntaxes.ts'
import { kinds, LONG_FORM, vrCode, vrFlags, vrKinds } from './vr.ts'

/** What takes the place of elements, in Explicit VR Little Endian. */
export interface Replacements {
  /** Whole elements of the root by tag, also new ones; an empty one leaves the element out. */
  elements?: ReadonlyMap<number, Uint8Array>
  /** Whole elements of items by where they are: `00880200.1.7FE00010`. */
  inItems?: ReadonlyMap<string, Uint8Array>
  /** The whole element Pixel Data (7FE0,0010). */
  pixelData?: AsyncIterable<Uint8Array>
}

const pixelDataTag = 0x7fe00010
const pixelRepresentationTag = 0x00280103
const SQ = vrCode('SQ')
const AT = vrCode('AT')
/** Bytes of a value that are held at once; a multiple of every word. */
const pieceBytes = 64 * 1024

/**
 * Writes a data set in Explicit VR Little Endian, element by element.
 *
 * The VRs that implicit encoding leaves out are those of the dictionary, and of Pixel Representation where
 * it leaves them open (JS-23); values of big endian words are turned round. Every sequence and item gets an undefined
 * length, since what it holds may become longer. An odd value gets its padding.
 *
 * @throws {TruncatedError} the data set ends inside an element
 */
export async function* rewriteDataSet(
  chunks: AsyncIterable<Uint8Array>,
  syntax: TransferSyntax,
  { elements = new Map(), inItems = new Map(), pixelData }: Replacements = {},
): AsyncGenerator<Uint8Array, void, void> {
  const reader = new ByteReader(chunks)
  const root = new Level()
  root.implicit = syntax.implicit
  root.bigEndian = syntax.bigEndian
  const levels = [root]
  const pending = [...elements].sort(([a], [b]) => a - b)
  const outer = (): Level => levels.at(-1) as Level

  function open(kind: number, tag: number, length: number, implicit: boolean): void {
    const level = new Level()
    const isOpen = length === undefinedLength
    level.start(kind, outer(), isOpen ? outer().end : reader.offset + length, isOpen)
    level.tag = tag
    if (implicit) {
      level.implicit = true
      level.bigEndian = false
    }
    levels.push(level)
  }

  function close(): Uint8Array {
    const { kind } = levels.pop() as Level
    return itemHeader(kind === DATA_SET ? 0xe00d : 0xe0dd, 0)
  }

  try {
    for (;;) {
      while (levels.length > 1 && !outer().open && reader.offset >= outer().end) yield close()
      if (!reader.has(8) && !(await reader.fill(8))) break
      const level = outer()
      const { bigEndian } = level
      const { bytes, at } = reader
      const tag = tagAt(bytes, at, bigEndian)
      const isRoot = levels.length === 1
      if (tag >>> 16 === 0xfffe) {
        const length = u32(bytes, at + 4, bigEndian)
        reader.at += 8
        if (tag !== 0xfffee000) yield close()
        else if (level.kind === FRAGMENTS) {
          yield itemHeader(0xe000, length)
          yield* copied(reader, length, 1)
        } else {
          yield itemHeader(0xe000, undefinedLength)
          level.item++
          open(DATA_SET, tag, length, false)
        }
        continue
      }
      // Only padding follows (see the reader).
      if (isRoot && tag >>> 16 === 0) break
      if (level.lastTag < 0 && !isRoot && !level.implicit) {
        level.implicit = !isLetters(bytes, at + 4)
      }
      level.lastTag = tag
      const { vr, length } = level.implicit
        ? await implicitHeader(reader, level, tag)
        : await explicitHeader(reader, bigEndian)
      if (isRoot) {
        while (pending.length > 0 && (pending[0] as [number, Uint8Array])[0] < tag) {
          yield (pending.shift() as [number, Uint8Array])[1]
        }
        if (pending[0]?.[0] === tag) {
          yield (pending.shift() as [number, Uint8Array])[1]
          await skip(reader, length)
          continue
        }
        if (tag === pixelDataTag && pixelData !== undefined) {
          yield* pixelData
          await skip(reader, length)
          continue
        }
      }
      const inItem =
        isRoot || inItems.size === 0 ? undefined : tagPath(levels, levels.length - 1, tag)
      const replacement = inItem === undefined ? undefined : inItems.get(inItem)
      if (replacement !== undefined) {
        yield replacement
        await skip(reader, length)
        continue
      }
      const isFragments =
        length === undefinedLength && (tag === pixelDataTag || vr === OB || vr === OW)
      if (isFragments) {
        yield elementHeader(tag, vr === OW && !level.implicit ? OW : OB, undefinedLength)
        open(FRAGMENTS, tag, length, false)
      } else if (vr === SQ || length === undefinedLength) {
        yield elementHeader(tag, SQ, undefinedLength)
        open(SEQUENCE, tag, length, vr === UN)
      } else if ((tag & 0xffff) === 0) {
        await skip(reader, length)
      } else {
        if (tag === pixelRepresentationTag && (await reader.fill(2)) && length >= 2) {
          level.pixelRepresentation = u16(reader.bytes, reader.at, bigEndian)
        }
        yield elementHeader(tag, vr, length + (length % 2))
        yield* copied(reader, length, bigEndian ? wordBytes(vr) : 1)
        if (length % 2 === 1) yield Buffer.from(paddingOf(vr))
      }
    }
    for (const [, element] of pending) yield element
    while (levels.length > 1) yield close()
  } finally {
    await reader.close()
  }
}

async function implicitHeader(
  reader: ByteReader,
  level: Level,
  tag: number,
): Promise<{ vr: number; length: number }> {
  const length = u32(reader.bytes, reader.at + 4, level.bigEndian)
  reader.at += 8
  return { vr: definiteVR(dictionaryVR(tag), level), length }
}

async function explicitHeader(
  reader: ByteReader,
  bigEndian: boolean,
): Promise<{ vr: number; length: number }> {
  const vr = u16(reader.bytes, reader.at + 4, true)
  if (((vrFlags[vr] as number) & LONG_FORM) === 0) {
    const length = u16(reader.bytes, reader.at + 6, bigEndian)
    reader.at += 8
    return { vr, length }
  }
  if (!(await reader.fill(12))) throw truncated(tagAt(reader.bytes, reader.at, bigEndian))
  const length = u32(reader.bytes, reader.at + 8, bigEndian)
  reader.at += 12
  return { vr, length }
}

/** The next bytes, turned round word by word; a rest that is no whole word stays as it is. */
async function* copied(
  reader: ByteReader,
  length: number,
  word: number,
): AsyncGenerator<Uint8Array, void, void> {
  for (let left = length; left > 0; ) {
    const count = Math.min(left, pieceBytes)
    if (!(await reader.fill(count))) throw truncated(0)
    const piece = reader.take(count)
    yield word === 1 ? piece : swapped(piece, word)
    left -= count
  }
}

/** Passes over a value; of undefined length: the fragments up to their delimiter. */
async function skip(reader: ByteReader, length: number): Promise<void> {
  if (length === undefinedLength) {
    for (;;) {
      if (!(await reader.fill(8))) throw truncated(pixelDataTag)
      const isItem = tagAt(reader.bytes, reader.at, false) === 0xfffee000
      const itemLength = u32(reader.bytes, reader.at + 4, false)
      reader.at += 8
      if (!isItem) return
      await skip(reader, itemLength)
    }
  }
  for (let left = length; left > 0; ) {
    const count = Math.min(left, pieceBytes)
    if (!(await reader.fill(count))) throw truncated(0)
    reader.at += count
    left -= count
  }
}

/** A copy with the bytes of each word in the other order. */
export function swapped(bytes: Uint8Array, word: number): Buffer {
  const copy = Buffer.from(bytes)
  const whole = copy.subarray(0, copy.length - (copy.length % word))
  if (word === 2) whole.swap16()
  else if (word === 4) whole.swap32()
  else if (word === 8) whole.swap64()
  return copy
}

/** Bytes of the words that big endian turns round, by VR (PS3.5 7.3). */
export function wordBytes(vr: number): number {
  return vr === AT ? 2 : (wordsByKind.get(vrKinds[vr] as number) ?? 1)
}

const wordsByKind = new Map<number, number>([
  [kinds.us, 2],
  [kinds.ss, 2],
  [kinds.words, 2],
  [kinds.ul, 4],
  [kinds.sl, 4],
  [kinds.fl, 4],
  [kinds.longs, 4],
  [kinds.fd, 8],
  [kinds.sv, 8],
  [kinds.uv, 8],
  [kinds.quads, 8],
])

/** What fills an odd value up (PS3.5 6.2): NUL after UI and bytes, a space after text. */
function paddingOf(vr: number): string {
  const kind = vrKinds[vr] as number
  const isText = kind >= kinds.code && kind <= kinds.uri && vr !== vrCode('UI')
  return isText ? ' ' : '\0'
}

function tagAt(bytes: Uint8Array, at: number, bigEndian: boolean): number {
  return ((u16(bytes, at, bigEndian) << 16) | u16(bytes, at + 2, bigEndian)) >>> 0
}

function truncated(tag: number): TruncatedError {
  return new TruncatedError(`the data set ends inside ${tag === 0 ? 'a value' : tagName(tag)}`)
}
