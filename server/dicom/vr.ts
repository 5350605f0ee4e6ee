/** How the value of a VR is written in DICOM JSON; several VRs share a way. */
export const kinds = {
  none: 0,
  /** Several values of the default repertoire: AE AS CS DA DT TM UI. */
  code: 1,
  /** DS IS. */
  decimal: 2,
  /** Several values in the Specific Character Set: LO SH UC. */
  text: 3,
  /** One value in the Specific Character Set: LT ST UT. */
  longText: 4,
  personName: 5,
  /** One value of the default repertoire: UR. */
  uri: 6,
  us: 7,
  ss: 8,
  ul: 9,
  sl: 10,
  fl: 11,
  fd: 12,
  sv: 13,
  uv: 14,
  attributeTag: 15,
  /** Base64 of words of 1, 2, 4 or 8 bytes. */
  bytes: 16,
  words: 17,
  longs: 18,
  quads: 19,
  sequence: 20,
} as const

/** Explicit VR with a length of 4 bytes after 2 reserved ones (PS3.5 7.1.2). */
export const LONG_FORM = 1
/** May become a BulkDataURI (PS3.18 Annex F.2.2; JS-10). */
export const BULK = 2
/** Has no form in JSON but bytes: InlineBinary or BulkDataURI (JS-11). */
export const BINARY = 4
/** One of the 34. */
export const KNOWN = 8

const names: [kind: number, flags: number, vrs: string][] = [
  [kinds.code, 0, 'AE AS CS DA DT TM UI'],
  [kinds.decimal, BULK, 'DS IS'],
  [kinds.text, 0, 'LO SH'],
  [kinds.text, BULK | LONG_FORM, 'UC'],
  [kinds.longText, BULK, 'LT ST'],
  [kinds.longText, BULK | LONG_FORM, 'UT'],
  [kinds.personName, 0, 'PN'],
  [kinds.uri, LONG_FORM, 'UR'],
  [kinds.us, BULK, 'US'],
  [kinds.ss, BULK, 'SS'],
  [kinds.ul, BULK, 'UL'],
  [kinds.sl, BULK, 'SL'],
  [kinds.fl, BULK, 'FL'],
  [kinds.fd, BULK, 'FD'],
  [kinds.sv, BULK | LONG_FORM, 'SV'],
  [kinds.uv, BULK | LONG_FORM, 'UV'],
  [kinds.attributeTag, 0, 'AT'],
  [kinds.bytes, BULK | BINARY | LONG_FORM, 'OB UN'],
  [kinds.words, BULK | BINARY | LONG_FORM, 'OW'],
  [kinds.longs, BULK | BINARY | LONG_FORM, 'OF OL'],
  [kinds.quads, BULK | BINARY | LONG_FORM, 'OD OV'],
  [kinds.sequence, LONG_FORM, 'SQ'],
]

/** Kind by VR code. 64 KiB of table spare the range checks on every element. */
export const vrKinds = new Uint8Array(0x10000)
/** Flags by VR code; 0 is no VR. */
export const vrFlags = new Uint8Array(0x10000)

/** A VR as a number: its two letters as they stand in the file. */
export function vrCode(vr: string): number {
  return (vr.charCodeAt(0) << 8) | vr.charCodeAt(1)
}

for (const [kind, flags, vrs] of names) {
  for (const vr of vrs.split(' ')) {
    vrKinds[vrCode(vr)] = kind
    vrFlags[vrCode(vr)] = flags | KNOWN
  }
}

/** Bytes of one value of a binary number; 1 for everything else. By kind. */
export const kindBytes = Uint8Array.of(
  1,
  1,
  1,
  1,
  1,
  1,
  1,
  2,
  2,
  4,
  4,
  4,
  8,
  8,
  8,
  4,
  1,
  1,
  1,
  1,
  1,
)
