import { describe, expect, test } from 'vitest'
import type { Instance } from '../../db/instances.ts'
import { sRGBProfile } from '../../server/pixels/icc-profile.ts'
import { memoryStore } from '../../server/store/memory-store.ts'
import { profileFor } from '../../server/wado/profiles.ts'
import { renderingOf } from '../../server/wado/rendering-of.ts'
import { imagePixel } from '../pixels/image.ts'

const instance = {} as Instance
const store = memoryStore()
const spacing = (...Value: number[]) => ({ '00280030': { vr: 'DS', Value } })

describe('The shape of pixels (PS3.3 C.7.6.3.1.7)', () => {
  const aspectOf = async (model: object, index = 0) =>
    (await renderingOf(instance, store, model as never, imagePixel(), index)).pixelAspect

  test.each<[string, object, number]>([
    ['nothing is square', {}, 1],
    ['Pixel Spacing says rows first', spacing(3, 2), 1.5],
    ['what cannot be seen is square', spacing(1, 1.001), 1],
    ['Imager Pixel Spacing', { '00181164': { vr: 'DS', Value: [0.1, 0.2] } }, 0.5],
    [
      'Pixel Aspect Ratio is vertical by horizontal',
      { '00280034': { vr: 'IS', Value: [4, 3] } },
      4 / 3,
    ],
    ['numbers that came as texts', { '00280034': { vr: 'IS', Value: ['2', '1'] } }, 2],
    [
      'spacing goes before the ratio',
      { ...spacing(1, 1), '00280034': { vr: 'IS', Value: [4, 3] } },
      1,
    ],
    ['zeros are no size', { ...spacing(0, 0), '00280034': { vr: 'IS', Value: [4, 3] } }, 4 / 3],
    ['a hundred times as high is a mistake', spacing(100, 1), 1],
  ])('%s', async (_what, model, expected) => {
    expect(await aspectOf(model)).toBeCloseTo(expected)
  })

  test('of an enhanced image, the frame says it', async () => {
    const group = (height: number) => ({
      '00289110': { vr: 'SQ', Value: [spacing(height, 1)] },
    })
    const model = { '52009230': { vr: 'SQ', Value: [group(2), group(3)] } }
    expect([await aspectOf(model, 0), await aspectOf(model, 1)]).toEqual([2, 3])
  })
})

describe('Padding (PS3.3 C.7.5.1.1.2)', () => {
  const paddingOf = async (model: object, pixelRepresentation = 0) =>
    (await renderingOf(instance, store, model as never, imagePixel({ pixelRepresentation }), 0))
      .padding
  const value = (vr: string, number: number) => ({ vr, Value: [number] })

  test('is a value, or a range that begins at either end', async () => {
    expect(await paddingOf({})).toBeUndefined()
    expect(await paddingOf({ '00280120': value('US', 0) })).toEqual([0, 0])
    const range = { '00280120': value('US', 4095), '00280121': value('US', 4000) }
    expect(await paddingOf(range)).toEqual([4000, 4095])
  })

  test('is below 0 for signed pixels, also where it is written as unsigned', async () => {
    expect(await paddingOf({ '00280120': value('SS', -2000) }, 1)).toEqual([-2000, -2000])
    expect(await paddingOf({ '00280120': value('US', 63_536) }, 1)).toEqual([-2000, -2000])
  })
})

describe('ICC profiles (PS3.18 8.3.5.1.5)', () => {
  const srgb = sRGBProfile()
  const own = Buffer.from(srgb)
  own.write('own!', 48, 'latin1')
  const colour = { '00280004': { vr: 'CS', Value: ['RGB'] } }
  const profile = {
    '00282000': {
      vr: 'OB',
      InlineBinary: Buffer.concat([own, Buffer.alloc(2)]).toString('base64'),
    },
  }
  const slide = { ...colour, '00480105': { vr: 'SQ', Value: [profile] } }
  const found = async (model: object, choice: 'no' | 'own' | 'yes' | 'srgb') => {
    const bytes = await profileFor(instance, store, model as never, choice)
    if (bytes === undefined) return 'none'
    return Buffer.from(bytes).equals(own)
      ? 'own'
      : Buffer.from(bytes).equals(srgb)
        ? 'sRGB'
        : 'other'
  }

  test('colours without a profile get none, or sRGB if one is asked for', async () => {
    expect(await found(colour, 'own')).toBe('none')
    expect(await found(colour, 'no')).toBe('none')
    expect(await found(colour, 'yes')).toBe('sRGB')
    expect(await found(colour, 'srgb')).toBe('sRGB')
  })

  test.each([
    ['an image', { ...colour, ...profile }],
    ['the first optical path of a slide', slide],
  ])(
    '%s has its own, unless it is not wanted; that it is sRGB is never made up',
    async (_, model) => {
      expect(await found(model, 'own')).toBe('own')
      expect(await found(model, 'yes')).toBe('own')
      expect(await found(model, 'no')).toBe('none')
      await expect(found(model, 'srgb')).rejects.toMatchObject({ status: 406 })
    },
  )

  test('a profile that is said to be sRGB is sRGB', async () => {
    const named = { ...colour, ...profile, '00282002': { vr: 'CS', Value: ['SRGB'] } }
    expect(await found(named, 'srgb')).toBe('own')
  })

  test('grey has none', async () => {
    const grey = { ...profile, '00280004': { vr: 'CS', Value: ['MONOCHROME2'] } }
    for (const choice of ['own', 'yes', 'srgb'] as const) {
      expect(await found(grey, choice)).toBe('none')
    }
  })
})
