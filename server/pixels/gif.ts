import { Buffer } from 'node:buffer'
import type { Picture } from './rendering.ts'

/**
 * GIF89a: 256 greys, or for colour 252 of them, six levels of red and blue and seven of green. That is what the format
 * has room for; JPEG and PNG show all.
 */

/** What stands before the first picture; several are shown again and again. */
export function gifHead({ width, height, channels }: Omit<Picture, 'pixels'>): Buffer {
  const screen = Buffer.alloc(13)
  screen.write('GIF89a', 'latin1')
  screen.writeUInt16LE(width, 6)
  screen.writeUInt16LE(height, 8)
  // A global colour table of 2^8 entries.
  screen[10] = 0xf7
  const palette = Buffer.alloc(768)
  for (let i = 0; i < 256; i++) palette.set(colourOf(i, channels), i * 3)
  const loop = Buffer.from('\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0', 'latin1')
  return Buffer.concat([screen, palette, loop])
}

/** One picture. @param delayMs How long it is shown. */
export function gifFrame(picture: Picture, delayMs: number): Buffer {
  const control = Buffer.from([0x21, 0xf9, 4, 4, 0, 0, 0, 0])
  control.writeUInt16LE(Math.min(65_535, Math.max(2, Math.round(delayMs / 10))), 4)
  const descriptor = Buffer.alloc(10)
  descriptor[0] = 0x2c
  descriptor.writeUInt16LE(picture.width, 5)
  descriptor.writeUInt16LE(picture.height, 7)
  return Buffer.concat([
    control,
    descriptor,
    Buffer.from([8]),
    ...blocksOf(lzw(indicesOf(picture))),
  ])
}

/** What stands behind the last picture. */
export const gifTail: Uint8Array = Buffer.from([0x3b])

function colourOf(index: number, channels: 1 | 3): [number, number, number] {
  if (channels === 1) return [index, index, index]
  const level = (value: number, levels: number) => Math.round((value * 255) / (levels - 1))
  if (index >= 252) return [0, 0, 0]
  return [
    level(Math.floor(index / 42), 6),
    level(Math.floor(index / 6) % 7, 7),
    level(index % 6, 6),
  ]
}

function indicesOf({ channels, pixels }: Picture): Uint8Array {
  if (channels === 1) return pixels
  const indices = new Uint8Array(pixels.length / 3)
  const nearest = (value: number | undefined, levels: number) =>
    Math.round(((value as number) * (levels - 1)) / 255)
  for (let i = 0; i < indices.length; i++) {
    const at = i * 3
    indices[i] =
      nearest(pixels[at], 6) * 42 + nearest(pixels[at + 1], 7) * 6 + nearest(pixels[at + 2], 6)
  }
  return indices
}

/** LZW of GIF89a Appendix F: codes of 9 to 12 bits, the table cleared when it is full. */
function lzw(indices: Uint8Array): Buffer {
  const clear = 256
  const out = Buffer.alloc(Math.ceil(indices.length * 1.5) + 16)
  let bytes = 0
  let held = 0
  let heldBits = 0
  let size = 9
  let next = clear + 2
  let table = new Map<number, number>()
  const put = (code: number) => {
    held |= code << heldBits
    heldBits += size
    for (; heldBits >= 8; heldBits -= 8) {
      out[bytes++] = held & 0xff
      held >>>= 8
    }
  }
  put(clear)
  let prefix = indices[0] as number
  for (let i = 1; i < indices.length; i++) {
    const value = indices[i] as number
    const key = (prefix << 8) | value
    const known = table.get(key)
    if (known !== undefined) {
      prefix = known
      continue
    }
    put(prefix)
    if (next === 4096) {
      put(clear)
      table = new Map()
      size = 9
      next = clear + 2
    } else {
      // A code is used when the next one may be one bit longer.
      if (next === 2 ** size) size++
      table.set(key, next++)
    }
    prefix = value
  }
  put(prefix)
  put(clear + 1)
  if (heldBits > 0) out[bytes++] = held & 0xff
  return out.subarray(0, bytes)
}

function* blocksOf(data: Buffer): Generator<Uint8Array> {
  for (let at = 0; at < data.length; at += 255) {
    const block = data.subarray(at, at + 255)
    yield Buffer.from([block.length])
    yield block
  }
  yield Buffer.from([0])
}
