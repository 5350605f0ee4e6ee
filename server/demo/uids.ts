import { createHash } from 'node:crypto'

/**
 * A UID made of a UUID (PS3.5 B.2), which is made of a name: the same name always has the same one.
 *
 * The UUID is of version 8 (RFC 9562 5.8), of the SHA-256 of the name.
 */
export function uidOf(name: string): string {
  const bytes = createHash('sha256').update(`stowage demo ${name}`).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  return `2.25.${BigInt(`0x${bytes.toString('hex')}`)}`
}
