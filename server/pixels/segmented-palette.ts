import { UndecodableError } from './worker-pool.ts'

/**
 * Unpacks a palette that is written in segments (PS3.3 C.7.9.2).
 *
 * A segment is an opcode, a length and its content: 0 values as they are; 1 a straight line from the last value to the one
 * given; 2 so many segments from an offset, again.
 *
 * @param words The segmented data, in words of 16 bits.
 * @param count Entries that the descriptor promises; no more are made, whatever the segments say.
 * @throws {UndecodableError} an opcode that is none, a segment of nothing, or one that repeats a repetition
 */
export function unpackPalette(words: Uint16Array, count: number): Uint16Array {
  const values = new Uint16Array(count)
  let made = 0

  /** @returns Where the next segment begins. */
  function segment(at: number, isRepeated: boolean): number {
    const [opcode, length = 0, third = 0] = words.subarray(at, at + 3)
    // One that makes nothing could be repeated for ever.
    if (length === 0) throw new UndecodableError('the segmented palette is broken')
    if (opcode === 0) {
      for (let i = 0; i < length && made < count; i++) values[made++] = words[at + 2 + i] ?? 0
      return at + 2 + length
    }
    if (opcode === 1) {
      const from = made === 0 ? third : (values[made - 1] as number)
      for (let i = 1; i <= length && made < count; i++) {
        values[made++] = Math.round(from + ((third - from) * i) / length)
      }
      return at + 3
    }
    if (opcode !== 2 || isRepeated) throw new UndecodableError('the segmented palette is broken')
    let next = third + (words[at + 3] ?? 0) * 65_536
    for (let i = 0; i < length && next < words.length; i++) next = segment(next, true)
    return at + 4
  }

  for (let at = 0; at < words.length && made < count; ) at = segment(at, false)
  return values
}
