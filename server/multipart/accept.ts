import {
  type MediaType,
  MediaTypeError,
  parseMediaType,
  rootMediaType,
  splitOutsideQuotes,
  trimSpaces,
} from './media-type.ts'

/** One media range of an Accept header. */
export interface AcceptEntry {
  /** `type/subtype`, `type/*` or `*` + `/*`; lower case. */
  readonly type: string
  /** Without `q`. Names lower case, values verbatim. */
  readonly parameters: ReadonlyMap<string, string>
  /** What the `type` parameter of a multipart range says, itself a range; lower case. */
  readonly root: string | undefined
  /** A Transfer Syntax UID or `*`, wherever it was written: on the range or inside `type` (MP-06). */
  readonly transferSyntax: string | undefined
  /** 0 to 1. 0 means not acceptable. */
  readonly quality: number
}

/** One representation that a face can answer with. */
export interface Offer {
  /** `type/subtype`, lower case. */
  readonly type: string
  /** For a multipart type: the type of its parts. */
  readonly root?: string
  /** Other names that clients use for the same, as `application/json` for DICOM JSON (ST-H6). */
  readonly aliases?: readonly string[]
  /** The one this representation is in. Without it the parameter is not looked at. */
  readonly transferSyntaxUID?: string
  /** Whether a range that names the type, but no transfer syntax, means this one too (WA-N11). */
  readonly isDefaultSyntax?: boolean
}

export interface Choice<T extends Offer> {
  readonly offer: T
  /** The range that decided. */
  readonly entry: AcceptEntry
}

/** How many entries of one Accept header are looked at; the rest is ignored. */
export const maximumAcceptEntries = 100

const anything = '*/*'
// RFC 9110 12.4.2, and without the 0 before the point, as `HttpURLConnection` of Java 8 sends it.
const qualityValue = /^(?:0(?:\.\d{0,3})?|\.\d{1,3}|1(?:\.0{0,3})?)$/
const mediaRange = /^(?:\*\/\*|[^*/]+\/\*|[^*/]+\/[^*/]+)$/

/**
 * Parses an Accept header. Entries that are malformed are dropped (WA-N4).
 *
 * @param header Missing or blank is read as `*` + `/*` (ST-H4, WA-N1).
 * @returns By falling quality, then from specific to general, then as they came.
 */
export function parseAccept(header: string | null | undefined): AcceptEntry[] {
  const text = trimSpaces(header ?? '') || anything
  return splitOutsideQuotes(text, ',')
    .slice(0, maximumAcceptEntries)
    .map(parseEntry)
    .filter((entry) => entry !== undefined)
    .sort((a, b) => b.quality - a.quality || breadth(a) - breadth(b))
}

/**
 * Picks the representation that a client likes best.
 *
 * The most specific range that fits an offer decides its quality (WA-N3): a named type before `type/*`
 * before everything, then a named transfer syntax before `transfer-syntax=*` before none. Among the
 * offers the order is that of `entries`, then that of `offers`. Parameters other than `type`
 * and `transfer-syntax` decide nothing.
 *
 * A transfer syntax that a range names binds an offer (WA-N9), `*` takes any (WA-N10). A range that
 * names the type alone takes only offers with `isDefaultSyntax` (WA-N11), and a general one takes any
 * (WA-N2): to answer as stored, offer that representation before the others.
 *
 * @returns `undefined` when nothing is acceptable. To be answered 406 (ST-H5, WA-N5).
 */
export function negotiate<T extends Offer>(
  entries: readonly AcceptEntry[],
  offers: readonly T[],
): Choice<T> | undefined {
  let best: Choice<T> | undefined
  let bestRank = entries.length
  for (const offer of offers) {
    const entry = decidingEntry(entries, offer)
    if (entry === undefined || entry.quality === 0) continue
    const rank = entries.indexOf(entry)
    if (rank < bestRank) {
      best = { offer, entry }
      bestRank = rank
    }
  }
  return best
}

function decidingEntry(entries: readonly AcceptEntry[], offer: Offer): AcceptEntry | undefined {
  let deciding: AcceptEntry | undefined
  let narrowest = Number.POSITIVE_INFINITY
  for (const entry of entries) {
    if (!covers(entry, offer)) continue
    const width = breadth(entry) * 3 + syntaxBreadth(entry)
    // Of two equally specific ranges the first stands, which is the one with the higher quality.
    if (width < narrowest) {
      deciding = entry
      narrowest = width
    }
  }
  return deciding
}

function covers(entry: AcceptEntry, offer: Offer): boolean {
  const names = [offer.type, ...(offer.aliases ?? [])]
  if (!names.some((name) => isInRange(name, entry.type))) return false
  if (entry.root !== undefined && !isInRange(offer.root ?? '', entry.root)) return false
  return coversSyntax(entry, offer)
}

function coversSyntax(entry: AcceptEntry, offer: Offer): boolean {
  if (offer.transferSyntaxUID === undefined || entry.transferSyntax === '*') return true
  if (entry.transferSyntax !== undefined) return entry.transferSyntax === offer.transferSyntaxUID
  // "Not acceptable" about a type is meant for all of its transfer syntaxes.
  return breadth(entry) > 0 || entry.quality === 0 || offer.isDefaultSyntax === true
}

function isInRange(type: string, range: string): boolean {
  if (range === anything) return true
  return range.endsWith('/*') ? type.startsWith(range.slice(0, -1)) : type === range
}

/** 0 names a type to the full; 1 leaves open what the parts are; 2 is `type/*`; 3 is everything. */
function breadth(entry: AcceptEntry): number {
  if (entry.type === anything) return 3
  if (entry.type.endsWith('/*')) return 2
  if (!entry.type.startsWith('multipart/')) return 0
  return entry.root === undefined || entry.root.endsWith('/*') ? 1 : 0
}

function syntaxBreadth(entry: AcceptEntry): number {
  if (entry.transferSyntax === undefined) return 2
  return entry.transferSyntax === '*' ? 1 : 0
}

function parseEntry(text: string): AcceptEntry | undefined {
  try {
    return readEntry(parseMediaType(trimSpaces(text)))
  } catch (error) {
    if (error instanceof MediaTypeError) return undefined
    throw error
  }
}

function readEntry(range: MediaType): AcceptEntry | undefined {
  const parameters = new Map(range.parameters)
  const q = parameters.get('q') ?? '1'
  parameters.delete('q')
  const root = range.type.startsWith('multipart/') ? rootMediaType(range) : undefined
  const outer = range.parameters.get('transfer-syntax')
  const inner = root?.parameters.get('transfer-syntax')
  const isContradictory = outer !== undefined && inner !== undefined && outer !== inner
  const isRange = mediaRange.test(range.type) && mediaRange.test(root?.type ?? anything)
  if (isContradictory || !isRange || !qualityValue.test(q)) return undefined
  return {
    type: range.type,
    parameters,
    root: root?.type,
    transferSyntax: outer ?? inner,
    quality: Number(q),
  }
}
