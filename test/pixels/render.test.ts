import { inflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { encodePNG } from '../../server/pixels/png.ts'
import { render, windowed } from '../../server/pixels/render.ts'
import type { LookupTable, Picture } from '../../server/pixels/rendering.ts'
import { unpackPalette } from '../../server/pixels/segmented-palette.ts'
import { imagePixel, rendering } from './image.ts'

const words = (...values: number[]) => new Uint8Array(Uint16Array.from(values).buffer)
const grey = (picture: Picture) => [...picture.pixels]
const table = (first: number, bits: number, ...values: number[]): LookupTable => ({
  first,
  bits,
  values: Uint16Array.from(values),
})

describe('Grey (PS3.3 C.11)', () => {
  const ramp = words(0, 10, 20, 30, 40, 50, 60, 70)

  test('without a window all values are shown', () => {
    expect(grey(render(imagePixel(), ramp, rendering()))).toEqual([
      0, 36, 73, 109, 146, 182, 219, 255,
    ])
  })

  test('a window is taken after slope and intercept', () => {
    const window = { center: 0, width: 20, function: 'LINEAR_EXACT' as const }
    const options = rendering({ slope: 1, intercept: -30, window })
    expect(grey(render(imagePixel(), ramp, options))).toEqual([0, 0, 0, 128, 255, 255, 255, 255])
  })

  test('MONOCHROME1 is inverse', () => {
    const picture = render(
      imagePixel({ photometricInterpretation: 'MONOCHROME1' }),
      ramp,
      rendering({ isInverse: true }),
    )
    expect(grey(picture)).toEqual([255, 219, 182, 146, 109, 73, 36, 0])
  })

  test('signed values of 12 bits, with something else in the bits above', () => {
    const image = imagePixel({ bitsStored: 12, pixelRepresentation: 1 })
    const stored = words(0xf800, 0xffff, 0x0000, 0x07ff, 0xa000, 0xa000, 0xa000, 0xa000)
    // -2048, -1, 0, 2047, 0 ...
    expect(grey(render(image, stored, rendering()))).toEqual([0, 127, 128, 255, 128, 128, 128, 128])
  })

  test('Modality LUT and VOI LUT tables hold their ends beyond them', () => {
    const modalityLUT = table(10, 16, 5, 6, 7)
    const voiLUT = table(5, 8, 0, 100, 255)
    const values = words(0, 10, 11, 12, 99, 11, 11, 11)
    expect(grey(render(imagePixel(), values, rendering({ modalityLUT, voiLUT })))).toEqual([
      0, 0, 100, 255, 255, 100, 100, 100,
    ])
  })

  test('padding does not widen the range', () => {
    const image = imagePixel({ pixelRepresentation: 1 })
    const stored = words(0x8000, 0, 10, 20, 30, 40, 50, 51)
    const picture = render(image, stored, rendering({ padding: [-32768, -32768] }))
    expect(grey(picture).slice(0, 2)).toEqual([0, 0])
    expect(grey(picture)[7]).toBe(255)
    const range = grey(render(image, stored, rendering({ padding: [-32768, 10] })))
    expect([range[2], range[3], range[7]]).toEqual([0, 0, 255])
  })

  test('one bit a pixel, lowest bit first', () => {
    const image = imagePixel({ bitsAllocated: 1, bitsStored: 1 })
    expect(grey(render(image, Uint8Array.of(0b10000101), rendering()))).toEqual([
      255, 0, 255, 0, 0, 0, 0, 255,
    ])
  })

  test('a mask that is set nowhere is black, and white where it is set everywhere', () => {
    const image = imagePixel({ bitsAllocated: 1, bitsStored: 1 })
    expect(grey(render(image, Uint8Array.of(0), rendering()))).toEqual(Array(8).fill(0))
    expect(grey(render(image, Uint8Array.of(255), rendering()))).toEqual(Array(8).fill(255))
  })

  test('a frame of one value is black, or white where that is the least', () => {
    const same = words(7, 7, 7, 7, 7, 7, 7, 7)
    expect(grey(render(imagePixel(), same, rendering()))).toEqual(Array(8).fill(0))
    const inverse = rendering({ isInverse: true })
    expect(grey(render(imagePixel(), same, inverse))).toEqual(Array(8).fill(255))
  })

  test('floats', () => {
    const image = imagePixel({ bitsAllocated: 32, isFloat: true, columns: 3, rows: 1 })
    const bytes = new Uint8Array(Float32Array.of(-1, 0, 1).buffer)
    expect(grey(render(image, bytes, rendering()))).toEqual([0, 128, 255])
  })

  test('the window functions of PS3.3 C.11.2.1.2 and C.11.2.1.3', () => {
    const linear = windowed({ center: 2048, width: 4096, function: 'LINEAR' })
    expect([0, 4095].map(linear)).toEqual([0, 255])
    const one = windowed({ center: 2048, width: 1, function: 'LINEAR' })
    expect([2047, 2048].map(one)).toEqual([0, 255])
    const sigmoid = windowed({ center: 10, width: 4, function: 'SIGMOID' })
    expect([-1e6, 10, 1e6].map(sigmoid)).toEqual([0, 127.5, 255])
  })

  test('a frame that is too short is an error', () => {
    expect(() => render(imagePixel(), words(1), rendering())).toThrow('shorter')
  })
})

describe('Colour (PS3.3 C.7.6.3.1.2)', () => {
  const two = { rows: 1, columns: 2, bitsAllocated: 8, bitsStored: 8, samplesPerPixel: 3 }

  test.each([
    ['RGB by pixel', { photometricInterpretation: 'RGB' }, [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]],
    [
      'RGB by plane',
      { photometricInterpretation: 'RGB', planarConfiguration: 1 },
      [1, 4, 2, 5, 3, 6],
      [1, 2, 3, 4, 5, 6],
    ],
    [
      'YBR_FULL',
      { photometricInterpretation: 'YBR_FULL' },
      [76, 85, 255, 255, 128, 128],
      [254, 0, 0, 255, 255, 255],
    ],
    [
      'YBR_FULL_422',
      { photometricInterpretation: 'YBR_FULL_422' },
      [76, 255, 128, 128],
      [76, 76, 76, 255, 255, 255],
    ],
  ])('%s', (_, options, bytes, expected) => {
    const picture = render(imagePixel({ ...two, ...options }), Uint8Array.from(bytes), rendering())
    expect(picture.channels).toBe(3)
    expect(grey(picture)).toEqual(expected)
  })

  test('PALETTE COLOR, with entries of 16 bits', () => {
    const image = imagePixel({
      ...two,
      samplesPerPixel: 1,
      photometricInterpretation: 'PALETTE COLOR',
    })
    const red = table(0, 16, 0xff00, 0)
    const green = table(0, 16, 0, 0x8000)
    const picture = render(image, Uint8Array.of(0, 1), rendering({ palette: [red, green, green] }))
    expect(grey(picture)).toEqual([255, 0, 0, 0, 128, 128])
  })

  test('a colour space that is none is an error', () => {
    const image = imagePixel({ ...two, photometricInterpretation: 'HSV' })
    expect(() => render(image, new Uint8Array(6), rendering())).toThrow('HSV cannot be rendered')
  })
})

describe('Palettes in segments (PS3.3 C.7.9.2)', () => {
  const unpacked = (count: number, ...words: number[]) => [
    ...unpackPalette(Uint16Array.from(words), count),
  ]

  test('values, a line, and both again', () => {
    const words = [0, 2, 7, 10, 1, 4, 30, 2, 2, 0, 0]
    expect(unpacked(12, ...words)).toEqual([7, 10, 15, 20, 25, 30, 7, 10, 15, 20, 25, 30])
  })

  test('never makes more than was promised, nor goes round in circles', () => {
    expect(unpacked(3, 1, 65_535, 9)).toHaveLength(3)
    expect(() => unpacked(9, 2, 5, 0, 0)).toThrow('broken')
    expect(() => unpacked(9, 7, 1, 1)).toThrow('broken')
    expect(unpacked(4, 0, 2, 1)).toEqual([1, 0, 0, 0])
  })
})

describe('Viewport (PS3.18 8.3.5.1.3)', () => {
  const image = imagePixel({ bitsAllocated: 8, bitsStored: 8 })
  const bytes = Uint8Array.of(0, 100, 200, 255, 0, 100, 200, 255)
  const window = { center: 128, width: 256, function: 'LINEAR' as const }

  test('keeps the shape, and makes each pixel the mean of those it covers', () => {
    const picture = render(image, bytes, rendering({ window, viewport: { width: 2, height: 2 } }))
    expect(picture).toMatchObject({ width: 2, height: 1 })
    expect(grey(picture)).toEqual([50, 228])
  })

  test('shows a region, enlarged', () => {
    const source = { left: 1, top: 0, width: 2, height: 1 }
    const viewport = { width: 4, height: 40, source }
    const picture = render(image, bytes, rendering({ window, viewport }))
    expect(picture).toMatchObject({ width: 4, height: 2 })
    expect(grey(picture)).toEqual([100, 125, 175, 200, 100, 125, 175, 200])
  })

  test('flips the region across, down, or both', () => {
    const values = Uint8Array.of(0, 100, 200, 255, 10, 110, 210, 250)
    const source = { left: 1, top: 0, width: 2, height: 2 }
    const shown = (isFlippedAcross: boolean, isFlippedDown: boolean) => {
      const viewport = { width: 2, height: 2, source, isFlippedAcross, isFlippedDown }
      return grey(render(image, values, rendering({ window, viewport })))
    }
    expect(shown(false, false)).toEqual([100, 200, 110, 210])
    expect(shown(true, false)).toEqual([200, 100, 210, 110])
    expect(shown(false, true)).toEqual([110, 210, 100, 200])
    expect(shown(true, true)).toEqual([210, 110, 200, 100])
  })

  test('makes pixels square that are not; without a viewport they are as they are', () => {
    const viewport = { width: 100, height: 100 }
    const tall = rendering({ window, viewport, pixelAspect: 1.5 })
    expect(render(image, bytes, tall)).toMatchObject({ width: 100, height: 75 })
    const flat = rendering({ window, viewport, pixelAspect: 0.5 })
    expect(render(image, bytes, flat)).toMatchObject({ width: 100, height: 25 })
    const whole = rendering({ window, pixelAspect: 1.5 })
    expect(render(image, bytes, whole)).toMatchObject({ width: 4, height: 2 })
  })
})

test('a PNG holds every pixel (ISO/IEC 15948)', () => {
  const pixels = Uint8Array.of(1, 2, 3, 250, 0, 9, 7, 7, 7, 255, 254, 253)
  const png = encodePNG({ width: 2, height: 2, channels: 3, pixels })
  expect(png.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n')
  const at = png.indexOf('IDAT')
  const lines = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)))
  const shown = [...lines.subarray(1, 7), ...lines.subarray(8)]
  for (const line of [0, 6])
    for (let i = 3; i < 6; i++)
      shown[line + i] = ((shown[line + i] as number) + (shown[line + i - 3] as number)) & 0xff
  expect(shown).toEqual([...pixels])
})
