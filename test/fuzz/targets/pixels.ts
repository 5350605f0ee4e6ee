import { Buffer } from 'node:buffer'
import { memoryBytes, startCodecs } from '../../../server/pixels/codecs.ts'
import { doJob } from '../../../server/pixels/do-job.ts'
import { frameBytes, type ImagePixel } from '../../../server/pixels/image-pixel.ts'
import { render } from '../../../server/pixels/render.ts'
import type { Rendering } from '../../../server/pixels/rendering.ts'
import { imagePixel } from '../../pixels/image.ts'
import type { Target } from '../target.ts'

const base = '1.2.840.10008.1.2'
const syntaxes = [
  '5',
  '4.50',
  '4.51',
  '4.57',
  '4.70',
  '4.80',
  '4.81',
  '4.90',
  '4.91',
  '4.201',
  '4.203',
]
const spaces = [
  'MONOCHROME2',
  'MONOCHROME1',
  'RGB',
  'YBR_FULL',
  'YBR_FULL_422',
  'YBR_RCT',
  'PALETTE COLOR',
]
const headBytes = 8

/** The image that the first eight bytes of an input stand for. */
function imageOf(input: Buffer): ImagePixel {
  const at = (index: number) => input[index] ?? 0
  const bitsAllocated = [8, 16, 8, 16, 32, 1, 64, 16][at(2) & 7] as number
  return imagePixel({
    rows: at(0) + 1,
    columns: at(1) + 1,
    bitsAllocated,
    bitsStored: Math.min(bitsAllocated, (at(3) & 31) + 1),
    samplesPerPixel: [1, 3, 1, 4][at(4) & 3] as number,
    pixelRepresentation: (at(4) >> 2) & 1,
    planarConfiguration: (at(4) >> 3) & 1,
    isFloat: bitsAllocated > 16 && (at(4) & 16) > 0,
    photometricInterpretation: spaces[at(5) % spaces.length] as string,
  })
}

/**
 * The decoders, in this thread, with broken code streams. They may refuse; they may not take more than a second, nor end
 * the thread.
 */
export async function codecs(): Promise<Target> {
  await startCodecs(2 ** 30)
  return {
    maxBytes: 8192,
    isSeen: false,
    memoryBytes,
    seeds: [...grey(), ...colour()],
    tokens: [
      ...[
        'ffd8',
        'ffd9',
        'ffc0',
        'ffc3',
        'ffc4',
        'ffda',
        'fff7',
        'ff4f',
        'ff51',
        'ff52',
        'ff90',
        'ff93',
      ],
      ...[
        'ffffffff',
        '00000000',
        'ffff',
        '7fffffff',
        '80000000',
        'ff01',
        'ffdd',
        'ff00',
        'ff5c',
        'ff60',
      ],
    ].map((hex) => Buffer.from(hex, 'hex')),
    run(input) {
      // The memory of the codecs never shrinks: a thread with much of it is followed by another.
      if (memoryBytes() > 2 ** 29) process.exit(0)
      const image = imageOf(input)
      const transferSyntaxUID = `${base}.${syntaxes[(input[6] ?? 0) % syntaxes.length]}`
      const bytes = Uint8Array.from(input.subarray(headBytes))
      try {
        const decoded = doJob({ kind: 'decode', image, transferSyntaxUID, bytes })
        if (decoded.bytes.length !== frameBytes(decoded.image)) return 'a frame of another size'
        return `${transferSyntaxUID} is decoded`
      } catch (error) {
        return `${transferSyntaxUID} ${(error as Error).message?.replace(/\d+/g, 'n')}`
      }
    },
  }
}

function seed(head: number[], image: ImagePixel, syntax: number, pixels: Uint8Array): Buffer {
  const transferSyntaxUID = `${base}.${syntaxes[syntax]}`
  const isLossy = syntax === 1
  const encoded = isLossy
    ? doJob({
        kind: 'render',
        image,
        transferSyntaxUID: `${base}.1`,
        bytes: Uint8Array.from(pixels),
        rendering: { slope: 1, intercept: 0, isInverse: false, pixelAspect: 1 },
        type: 'image/jpeg',
        quality: 90,
        delayMs: 0,
      })
    : doJob({ kind: 'encode', image, transferSyntaxUID, bytes: Uint8Array.from(pixels) })
  return Buffer.concat([Buffer.from([...head, syntax, 0]), encoded.bytes])
}

function grey(): Buffer[] {
  const head = [15, 15, 1, 15, 0, 0]
  const pixels = Uint8Array.from({ length: 512 }, (_, i) => (i * 37) % (i % 2 ? 16 : 251))
  const image = imageOf(Buffer.from(head))
  return [0, 4, 5, 7, 9].map((syntax) => seed(head, image, syntax, pixels))
}

function colour(): Buffer[] {
  const head = [15, 15, 0, 7, 1, 2]
  const pixels = Uint8Array.from({ length: 768 }, (_, i) => (i * 31) % 251)
  const image = imageOf(Buffer.from(head))
  return [0, 1, 4, 5, 7, 9].map((syntax) => seed(head, image, syntax, pixels))
}

/** Rendering: windows, tables, palettes, overlays and viewports of any sort on pixels of any sort. */
export function rendering(): Target {
  return {
    maxBytes: 2048,
    seeds: [
      Buffer.concat([Buffer.of(7, 7, 1, 11, 0, 0, 0, 0), Buffer.alloc(200, 7)]),
      Buffer.concat([Buffer.of(7, 7, 0, 7, 1, 2, 255, 0), Buffer.alloc(300, 200)]),
      Buffer.concat([Buffer.of(3, 3, 0, 7, 0, 6, 63, 0), Buffer.alloc(100, 1)]),
      Buffer.concat([Buffer.of(3, 3, 4, 7, 16, 0, 7, 9), Buffer.alloc(100, 1)]),
    ],
    tokens: [
      Buffer.alloc(4, 0xff),
      Buffer.alloc(8),
      Buffer.of(0, 0, 0xc0, 0x7f),
      Buffer.of(0, 0, 0x80, 0x7f),
    ],
    run(input) {
      const image = imageOf(input)
      const rendering = renderingOf(input)
      const bytes = Uint8Array.from(input.subarray(headBytes))
      const pixels = new Uint8Array(Math.min(frameBytes(image), 2 ** 20))
      pixels.set(bytes.subarray(0, pixels.length))
      let picture: ReturnType<typeof render>
      try {
        picture = render(image, pixels, rendering)
      } catch (error) {
        // It may refuse; a TypeError is what a mistake looks like.
        if (error instanceof TypeError) throw error
        return
      }
      const { width, height, channels } = picture
      if (picture.pixels.length !== width * height * channels)
        throw new Error('A picture of another size')
    },
  }
}

function renderingOf(input: Buffer): Rendering {
  const has = (bit: number) => ((input[6] ?? 0) & (1 << bit)) > 0
  const padded = Buffer.concat([input.subarray(headBytes), Buffer.alloc(64)])
  const float = (index: number) => padded.readFloatLE(index * 4)
  // As parameters have it: no less than 0, and a number.
  const place = (index: number) => Math.abs(float(index)) || 0
  const table = (from: number) => ({
    first: padded.readInt16LE(from),
    bits: [8, 16][padded[from + 2] as number & 1] as number,
    values: Uint16Array.from(
      padded.subarray(from + 3, from + 3 + ((padded[from + 3] as number) & 31)),
    ),
  })
  return {
    slope: has(0) ? float(0) : 1,
    intercept: has(0) ? float(1) : 0,
    isInverse: has(1),
    pixelAspect: 1,
    modalityLUT: has(2) ? table(4) : undefined,
    window: has(3)
      ? {
          center: float(2),
          width: float(3),
          function: (['LINEAR', 'LINEAR_EXACT', 'SIGMOID'] as const)[
            (padded[8] as number) % 3
          ] as 'LINEAR',
        }
      : undefined,
    voiLUT: has(4) ? table(7) : undefined,
    palette: has(5) ? [table(3), table(9), table(12)] : undefined,
    overlays: has(6)
      ? [
          {
            top: padded.readInt16LE(0),
            left: padded.readInt16LE(2),
            rows: padded.readUInt16LE(4),
            columns: padded.readUInt16LE(6),
            firstBit: 0,
            bits: Uint8Array.from(padded.subarray(8)),
          },
        ]
      : [],
    viewport: has(7)
      ? {
          width: 1 + (padded[1] as number),
          height: 1 + (padded[2] as number),
          source: { left: place(1), top: place(2), width: place(3) + 1, height: place(4) + 1 },
        }
      : undefined,
  }
}
