import { Buffer } from 'node:buffer'
import { tagHex } from './bytes.ts'
import { kinds, vrKinds } from './vr.ts'

/** Bytes of `,"00100020":{"vr":"LO"`. */
export const MEMBER_BYTES = 22

/**
 * How the member of an element begins: `,"00100020":{"vr":"LO","Value":[`, for bytes `,"InlineBinary":"`.
 *
 * Kept, since a file consists of the same tags as the one before it: one copy instead of 30 stores, and less code
 * to be compiled while a server is young.
 */
export function memberOpening(tag: number, vr: number): Uint8Array {
  const known = openings.get(tag)
  if (known !== undefined && known.vr === vr) return known.bytes
  const value = isBinary(vrKinds[vr] as number) ? ',"InlineBinary":"' : ',"Value":['
  const letters = String.fromCharCode(vr >> 8, vr & 255)
  const bytes = Buffer.from(`,"${tagHex(tag)}":{"vr":"${letters}"${value}`)
  // Files may invent tags.
  if (openings.size >= MAXIMUM_OPENINGS) openings.clear()
  openings.set(tag, { vr, bytes })
  return bytes
}

const MAXIMUM_OPENINGS = 5_000
const openings = new Map<number, { vr: number; bytes: Uint8Array }>()

function isBinary(kind: number): boolean {
  return kind >= kinds.bytes && kind !== kinds.sequence
}
