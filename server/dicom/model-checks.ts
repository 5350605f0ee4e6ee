import { Buffer } from 'node:buffer'
import { tagName } from './bytes.ts'
import { MetadataError } from './errors.ts'
import { vrCode, vrFlags } from './vr.ts'

/** @throws {MetadataError} there is no `vr`, or it is none of the 34 (JS-03, JS-27) → 0xC000 */
export function knownVR(tag: number, vr: unknown): string {
  if (typeof vr === 'string' && vr.length === 2 && vrFlags[vrCode(vr)] !== 0) return vr
  const reason = vr === undefined ? 'has no vr' : 'has no known VR'
  throw new MetadataError(`element ${tagName(tag)} ${reason}`)
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** @throws {MetadataError} anything that is not base64 (RFC 4648 4), which Buffer would pass over → 0xC000 */
export function decodeBase64(tag: number, text: string): Buffer {
  if (base64.test(text)) return Buffer.from(text, 'base64')
  throw new MetadataError(`element ${tagName(tag)} has an InlineBinary that is not base64`)
}
