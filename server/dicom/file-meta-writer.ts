import { Buffer } from 'node:buffer'
import { elementHeader, textElement } from './element-writer.ts'
import { LONG_FORM, vrCode, vrFlags } from './vr.ts'

const groupLength = 0x00020000
const transferSyntaxUIDTag = 0x00020010

/**
 * Preamble, prefix and File Meta Information of a file that is encoded anew: as they were, but for the transfer syntax
 * and the length of the group. The preamble is empty: what it pointed at is elsewhere now.
 *
 * @param head The file up to its data set, which was read before without an error.
 * @see PS3.10 7.1
 */
export function fileMetaAs(head: Uint8Array, transferSyntaxUID: string): Buffer {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
  const elements: Buffer[] = []
  let isNamed = false
  for (let at = 132; at + 8 <= bytes.length; ) {
    const tag = ((bytes.readUInt16LE(at) << 16) | bytes.readUInt16LE(at + 2)) >>> 0
    const isLong = ((vrFlags[bytes.readUInt16BE(at + 4)] as number) & LONG_FORM) !== 0
    const valueAt = at + (isLong ? 12 : 8)
    const end = valueAt + (isLong ? bytes.readUInt32LE(at + 8) : bytes.readUInt16LE(at + 6))
    if (tag >= transferSyntaxUIDTag && !isNamed) {
      elements.push(textElement(transferSyntaxUIDTag, 'UI', transferSyntaxUID))
      isNamed = true
    }
    if (tag !== groupLength && tag !== transferSyntaxUIDTag) elements.push(bytes.subarray(at, end))
    at = end
  }
  const group = Buffer.concat(elements)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(group.length)
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from('DICM', 'latin1'),
    elementHeader(groupLength, vrCode('UL'), 4),
    length,
    group,
  ])
}
