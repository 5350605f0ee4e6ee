import { Buffer } from 'node:buffer'
import { deflateSync } from 'node:zlib'

/** Data of one APP2 segment of JPEG (ICC.1:2022 Annex B.4): 65,535 without its length, name and numbers. */
const segmentBytes = 65_519
const segmentName = Buffer.from('ICC_PROFILE\0', 'latin1')

/**
 * The profile in a value of ICC Profile (0028,2000), without its padding (PS3.3 C.11.15).
 *
 * @returns Undefined: it is none, or not of RGB.
 */
export function profileIn(value: Uint8Array): Uint8Array | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (bytes.length < 132 || bytes.toString('latin1', 36, 40) !== 'acsp') return undefined
  const size = bytes.readUInt32BE(0)
  const isRGB = bytes.toString('latin1', 16, 20) === 'RGB '
  const fits = size <= bytes.length && size <= 255 * segmentBytes
  return isRGB && fits ? Uint8Array.from(bytes.subarray(0, size)) : undefined
}

/** A JPEG with a profile, behind what says that it is JFIF. */
export function jpegWithProfile(jpeg: Uint8Array, profile: Uint8Array): Uint8Array {
  const hasJFIF = jpeg[2] === 0xff && jpeg[3] === 0xe0
  const at = hasJFIF ? 4 + (((jpeg[4] as number) << 8) | (jpeg[5] as number)) : 2
  const count = Math.ceil(profile.length / segmentBytes)
  const segments = Array.from({ length: count }, (_, i) => {
    const data = profile.subarray(i * segmentBytes, (i + 1) * segmentBytes)
    const length = data.length + 16
    const head = Buffer.from([0xff, 0xe2, length >> 8, length & 0xff])
    return Buffer.concat([head, segmentName, Buffer.from([i + 1, count]), data])
  })
  return Buffer.concat([jpeg.subarray(0, at), ...segments, jpeg.subarray(at)])
}

/** What the chunk iCCP of a PNG holds (ISO/IEC 15948 11.3.2.3). */
export function pngProfile(profile: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('ICC Profile\0\0', 'latin1'), deflateSync(profile)])
}

/** sRGB (IEC 61966-2-1) as a display profile of version 4 (ICC.1:2022): matrix and curve, seen under D50. */
export function sRGBProfile(): Uint8Array {
  const curve = parametricCurve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
  const tags: [signature: string, data: Buffer][] = [
    ['desc', text('sRGB IEC61966-2.1')],
    ['cprt', text('No copyright, use freely')],
    ['wtpt', xyz(0.9642, 1, 0.8249)],
    ['chad', chromaticAdaptation],
    ['rXYZ', xyz(0.43607, 0.22249, 0.01392)],
    ['gXYZ', xyz(0.38515, 0.71687, 0.09708)],
    ['bXYZ', xyz(0.14307, 0.06061, 0.7141)],
    ['rTRC', curve],
    ['gTRC', curve],
    ['bTRC', curve],
  ]
  const header = Buffer.alloc(128)
  header.writeUInt32BE(0x04400000, 8)
  header.write('mntrRGB XYZ ', 12, 'latin1')
  for (const [index, part] of [2026, 1, 1].entries()) header.writeUInt16BE(part, 24 + index * 2)
  header.write('acsp', 36, 'latin1')
  xyz(0.9642, 1, 0.8249).copy(header, 68, 8)
  const table = Buffer.alloc(4 + tags.length * 12)
  table.writeUInt32BE(tags.length, 0)
  const data: Buffer[] = []
  const places = new Map<Buffer, number>()
  let end = header.length + table.length
  for (const [index, [signature, value]] of tags.entries()) {
    // One curve is that of all three colours.
    const place = places.get(value) ?? end
    if (!places.has(value)) {
      const padded = Buffer.concat([value, Buffer.alloc((4 - (value.length % 4)) % 4)])
      places.set(value, place)
      data.push(padded)
      end += padded.length
    }
    table.write(signature, 4 + index * 12, 'latin1')
    table.writeUInt32BE(place, 8 + index * 12)
    table.writeUInt32BE(value.length, 12 + index * 12)
  }
  header.writeUInt32BE(end, 0)
  return Uint8Array.from(Buffer.concat([header, table, ...data]))
}

/** Bradford's, from D65 to D50, as the profiles of the ICC have it. */
const chromaticAdaptation = typed(
  'sf32',
  fixed(1.04788, 0.02292, -0.05022, 0.02959, 0.99048, -0.01707, -0.00925, 0.01508, 0.75168),
)

/** Y = (a X + b) ^ g from d on, c X below it. */
function parametricCurve(g: number, a: number, b: number, c: number, d: number): Buffer {
  return typed('para', Buffer.concat([Buffer.from([0, 3, 0, 0]), fixed(g, a, b, c, d)]))
}

function xyz(...values: [number, number, number]): Buffer {
  return typed('XYZ ', fixed(...values))
}

function text(english: string): Buffer {
  const record = Buffer.alloc(20)
  record.writeUInt32BE(1, 0)
  record.writeUInt32BE(12, 4)
  record.write('enUS', 8, 'latin1')
  record.writeUInt32BE(english.length * 2, 12)
  record.writeUInt32BE(28, 16)
  return typed('mluc', Buffer.concat([record, Buffer.from(english, 'utf16le').swap16()]))
}

function typed(signature: string, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${signature}\0\0\0\0`, 'latin1'), value])
}

/** s15Fixed16Number. */
function fixed(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) {
    bytes.writeInt32BE(Math.round(value * 65_536), index * 4)
  }
  return bytes
}
