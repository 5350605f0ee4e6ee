/**
 * What the Failure Reason (0008,1197) of an answer means.
 *
 * PS3.18 Tables I.2-1 and I.2-2, PS3.7 Annex C, PS3.4 Table B.2-1. A901 to A903, C0FF and C410 are Stowage's
 * own, within ranges that PS3.4 leaves open.
 */
const words: Record<number, string> = {
  262: 'an identifying UID is invalid',
  272: 'the server could not process it',
  273: 'stored already, or twice in the request, with other content',
  279: 'SOP Instance UID is invalid',
  281: 'stored already, with another SOP class',
  288: 'an identifying attribute is missing',
  289: 'an identifying attribute is empty',
  290: 'SOP class is not supported',
  292: 'not authorized',
  531: 'the server lacks resources',
  42752: 'out of resources, or a limit was passed',
  43264: 'File Meta Information or data set does not match the SOP class',
  43265: 'belongs to another study',
  43266: 'stored already, in another series',
  43267: 'its series is stored in another study',
  49152: 'not readable as DICOM',
  49407: 'nothing is wrong with it; rolled back with its study',
  50192: 'deleted, and not allowed to come again',
  49442: 'transfer syntax is not supported',
}

/** PS3.4 Table B.2-1: what a whole range means, by its first digits. */
const ranges: [first: number, last: number, meaning: string][] = [
  [0xa700, 0xa7ff, 'out of resources'],
  [0xa800, 0xa8ff, 'SOP class is not supported'],
  [0xa900, 0xa9ff, 'data set does not match the SOP class'],
  [0xc000, 0xcfff, 'the server cannot understand it'],
]

/** The instance itself was good: another one of its request was not. */
export const rolledBackReason = 0xc0ff

/** In words and hex: `0x0111 (stored already, or twice in the request, with other content)`. */
export function describeFailureReason(code: number): string {
  return `${hexOf(code)} (${meaningOf(code)})`
}

/** `0x0111` */
export function hexOf(code: number): string {
  return `0x${code.toString(16).toUpperCase().padStart(4, '0')}`
}

export function meaningOf(code: number): string {
  return (
    words[code] ??
    ranges.find(([first, last]) => code >= first && code <= last)?.[2] ??
    "a reason of the server's own"
  )
}
