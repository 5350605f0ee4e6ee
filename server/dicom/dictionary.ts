import { dictionary } from 'dcmjs/dictionary'
import { tagHex } from './bytes.ts'
import { vrCode } from './vr.ts'

/** One line of PS3.6, as the rest of the server needs it. */
export interface DictionaryEntry {
  /** Eight uppercase hexadecimal digits: `00100020`. */
  tag: string
  keyword: string
  /** One definite VR. Where PS3.6 leaves a choice, the one of Implicit VR: OW for OB or OW, US for US or SS. */
  vr: string
}

/** Finds a standard attribute by its tag, repeating groups (50xx, 60xx, 7Fxx) included. */
export function entryOfTag(tag: string): DictionaryEntry | undefined {
  const number = Number.parseInt(tag, 16)
  const entry = byTag.get(baseTag(number))
  if (entry === undefined) return undefined
  return { tag: tag.toUpperCase(), keyword: entry.keyword, vr: definite(entry.vr) }
}

/** Finds a standard attribute by its keyword: `PatientID`. For a repeating group the first tag, as 60000010. */
export function entryOfKeyword(keyword: string): DictionaryEntry | undefined {
  if (byKeyword.size === 0) {
    for (const [tag, entry] of byTag) byKeyword.set(entry.keyword, tag)
  }
  const tag = byKeyword.get(keyword)
  return tag === undefined ? undefined : entryOfTag(tagHex(tag))
}

/** VRs that PS3.6 leaves open, as dcmjs names them. The reader decides by the data set (JS-23). */
export const openVRs = {
  /** OB or OW. */
  ox: vrCode('ox'),
  /** US or SS. */
  xs: vrCode('xs'),
  /** US or OW. */
  lt: vrCode('lt'),
} as const

/**
 * Finds the VR of a tag for data that does not tell it.
 *
 * @returns A VR code; one of {@link openVRs}; or 0 for a tag that PS3.6 does not know, private ones among them.
 *   Private creators are LO (PS3.5 7.8.1).
 */
export function dictionaryVR(tag: number): number {
  const known = vrCodes.get(tag)
  if (known !== undefined) return known
  const group = tag >>> 16
  const element = tag & 0xffff
  if (element === 0) return UL
  if ((group & 1) === 1) return element >= 0x10 && element <= 0xff ? LO : 0
  return vrCodes.get(baseTag(tag)) ?? 0
}

const LO = vrCode('LO')
const UL = vrCode('UL')
const byTag = new Map<number, { keyword: string; vr: string }>()
const byKeyword = new Map<string, number>()
const vrCodes = new Map<number, number>()

/** The tag that stands in the tables for a repeating group: curves, overlays, variable pixel data, source images. */
function baseTag(tag: number): number {
  if (byTag.has(tag)) return tag
  const group = tag >>> 16
  if ((group & 1) === 1) return tag
  const high = group >>> 8
  if (high === 0x50 || high === 0x60 || high === 0x7f) return high * 0x1000000 + (tag & 0xffff)
  if (group === 0x0020 && (tag & 0xff00) === 0x3100) return 0x00203100
  return tag
}

function definite(vr: string): string {
  if (vr === 'ox' || vr === 'lt') return 'OW'
  if (vr === 'xs') return 'US'
  return vr
}

for (const [key, { vr, name }] of Object.entries(dictionary)) {
  // Private lines name their creator in quotes; ranges show their first tag: (6000-60FF,0010), (0020,3100-31FF).
  const match = /^\(([0-9A-F]{4})(?:-60FF|-50FF|-7FFF)?,([0-9A-F]{4})(?:-31FF)?\)$/.exec(key)
  if (match === null || vr === 'na' || vr === undefined) continue
  const tag = Number.parseInt(`${match[1]}${match[2]}`, 16)
  // File-set pointers are UL with a meaning (PS3.6 writes UL; dcmjs 'up').
  const known = vr === 'up' ? 'UL' : vr
  byTag.set(tag, { keyword: name.replace(/^RETIRED_/, ''), vr: known })
  vrCodes.set(tag, vrCode(known))
}
