import { Buffer } from 'node:buffer'
import { deflateSync } from 'node:zlib'
import { pngProfile } from './icc-profile.ts'
import type { Picture } from './rendering.ts'

/** A picture as PNG (ISO/IEC 15948): grey or RGB of 8 bits, every line as the difference to the pixel on its left. */
export function encodePNG(
  { width, height, channels, pixels }: Picture,
  iccProfile?: Uint8Array,
): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, channels === 1 ? 0 : 2, 0, 0, 0], 8)
  const stride = width * channels
  const lines = new Uint8Array(height * (stride + 1))
  for (let y = 0; y < height; y++) {
    const at = y * (stride + 1)
    lines[at] = 1
    for (let x = 0; x < stride; x++) {
      const left = x < channels ? 0 : (pixels[y * stride + x - channels] as number)
      lines[at + 1 + x] = (pixels[y * stride + x] as number) - left
    }
  }
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    ...(iccProfile === undefined ? [] : [chunk('iCCP', pngProfile(iccProfile))]),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(name: string, content: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), content])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(content.length)
  const check = Buffer.alloc(4)
  check.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, check])
}

/** CRC-32 of ISO 3309; node:zlib has one in newer versions only. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 0xff] as number)
  return (crc ^ 0xffffffff) >>> 0
}

const crcTable = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})
