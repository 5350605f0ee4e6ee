import { inflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { jpegWithProfile, profileIn, sRGBProfile } from '../../server/pixels/icc-profile.ts'
import type { PictureType } from '../../server/pixels/rendering.ts'
import { WorkerPool } from '../../server/pixels/worker-pool.ts'
import { imagePixel, rendering } from './image.ts'

describe('ICC profiles in pictures (PS3.18 8.3.5.1.5)', () => {
  test('sRGB has the middle grey and the white of sRGB', () => {
    const profile = Buffer.from(sRGBProfile())
    expect(profile.readUInt32BE(0)).toBe(profile.length)
    const tags = new Map(
      Array.from({ length: profile.readUInt32BE(128) }, (_, i) => {
        const at = 132 + i * 12
        const place = profile.readUInt32BE(at + 4)
        const value = profile.subarray(place, place + profile.readUInt32BE(at + 8))
        return [profile.toString('latin1', at, at + 4), value]
      }),
    )
    const numbers = (tag: string, from: number) => {
      const value = tags.get(tag) as Buffer
      const count = (value.length - from) / 4
      return Array.from({ length: count }, (_, i) => value.readInt32BE(from + i * 4) / 65_536)
    }
    const [g, a, b] = numbers('rTRC', 12) as [number, number, number]
    expect((a * 0.5 + b) ** g).toBeCloseTo(0.21404, 4)
    // The three colours together are white.
    const white = numbers('wtpt', 8)
    for (const axis of [0, 1, 2]) {
      const sum = ['rXYZ', 'gXYZ', 'bXYZ'].reduce(
        (all, tag) => all + (numbers(tag, 8)[axis] as number),
        0,
      )
      expect(sum).toBeCloseTo(white[axis] as number, 3)
    }
  })

  test('a value of ICC Profile is taken without its padding, and only if it is a profile of RGB', () => {
    const profile = sRGBProfile()
    expect(profileIn(Buffer.concat([profile, Buffer.alloc(3)]))).toEqual(profile)
    expect(profileIn(profile.subarray(0, -1))).toBeUndefined()
    expect(profileIn(Buffer.alloc(500, 7))).toBeUndefined()
    const grey = Buffer.from(profile)
    grey.write('GRAY', 16, 'latin1')
    expect(profileIn(grey)).toBeUndefined()
  })

  test('one that is larger than a segment of JPEG is in several, behind JFIF', () => {
    const jfif = Buffer.from('ffd8ffe000044a46ffdb', 'hex')
    const profile = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251)
    const jpeg = Buffer.from(jpegWithProfile(jfif, profile))
    expect(jpeg.subarray(0, 8)).toEqual(jfif.subarray(0, 8))
    const found: Buffer[] = []
    let at = 8
    for (let number = 1; jpeg.readUInt16BE(at) === 0xffe2; number++) {
      const length = jpeg.readUInt16BE(at + 2)
      expect(jpeg.toString('latin1', at + 4, at + 16)).toBe('ICC_PROFILE\0')
      expect([...jpeg.subarray(at + 16, at + 18)]).toEqual([number, 2])
      found.push(jpeg.subarray(at + 18, at + 2 + length))
      at += 2 + length
    }
    expect(Buffer.concat(found).equals(profile)).toBe(true)
    expect(jpeg.subarray(at)).toEqual(jfif.subarray(8))
  })

  test('JPEG and PNG in colour have it; grey and GIF do not', async () => {
    await using pool = new WorkerPool()
    const profile = sRGBProfile()
    const picture = async (type: PictureType, samplesPerPixel: 1 | 3) => {
      const photometricInterpretation = samplesPerPixel === 3 ? 'RGB' : 'MONOCHROME2'
      const { bytes } = await pool.run({
        kind: 'render',
        image: imagePixel({
          bitsAllocated: 8,
          bitsStored: 8,
          samplesPerPixel,
          photometricInterpretation,
        }),
        transferSyntaxUID: '1.2.840.10008.1.2.1',
        bytes: Uint8Array.from({ length: 8 * samplesPerPixel }, (_, i) => i * 9),
        rendering: rendering({ iccProfile: profile }),
        type,
        quality: 90,
        delayMs: 100,
      })
      return Buffer.from(bytes)
    }
    const jpeg = await picture('image/jpeg', 3)
    expect(jpeg.indexOf(profile)).toBe(jpeg.indexOf('ICC_PROFILE\0\x01\x01', 0, 'latin1') + 14)
    const png = await picture('image/png', 3)
    const at = png.indexOf('iCCP', 0, 'latin1')
    expect(at).toBeLessThan(png.indexOf('IDAT', 0, 'latin1'))
    const deflated = png.subarray(
      at + 4 + 'ICC Profile'.length + 2,
      at + 4 + png.readUInt32BE(at - 4),
    )
    expect(inflateSync(deflated)).toEqual(Buffer.from(profile))
    const grey = await Promise.all([picture('image/jpeg', 1), picture('image/png', 1)])
    for (const bytes of [...grey, await picture('image/gif', 3)]) {
      expect(bytes.toString('latin1')).not.toMatch(/ICC|iCCP/)
    }
  })
})
