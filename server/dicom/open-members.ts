import { Buffer } from 'node:buffer'
import type { JsonBytes } from './json-bytes.ts'

/**
 * Members that are US or SS and were written before any Pixel Representation that decides which (JS-23): of
 * (0018,9810) in a file in order, and of all in sequences before (0028,0103).
 *
 * They are few. So they are written as if none came, and written again when one does; it decides on its data set and on
 * the items in it that have none of their own.
 */
export class OpenMembers {
  /** Where they begin in the JSON, ascending. */
  readonly #places: number[] = []

  clear(): void {
    this.#places.length = 0
  }

  /** Once more is the same: an element is begun again when it was not whole. */
  add(place: number): void {
    const places = this.#places
    if (places[places.length - 1] !== place) places.push(place)
  }

  /** What stands from there on is decided. @returns Its places. */
  takeFrom(start: number): number[] {
    const places = this.#places
    let first = places.length
    while (first > 0 && (places[first - 1] as number) >= start) first--
    return places.splice(first)
  }
}

/**
 * Writes members anew, as SS or US, and what follows them behind.
 *
 * @param places Where they begin, ascending.
 * @param moved  Is told of each stretch that lies elsewhere now: it began before this place, and moved so far.
 */
export function decide(
  out: JsonBytes,
  places: readonly number[],
  isSigned: boolean,
  moved: (before: number, bytes: number) => void,
): void {
  const [first] = places
  if (first === undefined) return
  const json = Buffer.from(out.bytes.subarray(first, out.end))
  out.end = first
  let at = 0
  for (const place of places) {
    moved(place + 1, out.end - first - at)
    out.raw(json, at, place - first)
    // Numbers or a BulkDataURI: no brace is in either.
    at = json.indexOf('}', place - first)
    out.ascii(decided(json.toString('latin1', place - first, at), isSigned))
  }
  moved(Number.POSITIVE_INFINITY, out.end - first - at)
  out.raw(json, at, json.length)
}

/** `"00189810":{"vr":"US","Value":[65535]` is `"00189810":{"vr":"SS","Value":[-1]`. */
function decided(member: string, isSigned: boolean): string {
  const renamed = member.replace(/"vr":"(US|SS)"/, `"vr":"${isSigned ? 'SS' : 'US'}"`)
  const start = renamed.indexOf('[')
  if (start < 0) return renamed
  const numbers: number[] = JSON.parse(renamed.slice(start))
  const values = numbers.map((value) => (isSigned ? (value << 16) >> 16 : value & 0xffff))
  return `${renamed.slice(0, start)}[${values}]`
}
