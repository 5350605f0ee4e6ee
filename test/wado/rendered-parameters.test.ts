import { describe, expect, test } from 'vitest'
import { HttpProblem } from '../../server/http/problem.ts'
import { renderedParameters, thumbnailParameters } from '../../server/wado/rendered-parameters.ts'

describe('Parameters of rendered resources (PS3.18 8.3.5.1; WA-S5)', () => {
  test('sizes below 0 in viewport flip the region', () => {
    const viewport = renderedParameters({ viewport: '4,4,1,2,-3,5' }).viewport
    expect(viewport).toEqual({
      width: 4,
      height: 4,
      source: { left: 1, top: 2, width: 3, height: 5 },
      isFlippedAcross: true,
      isFlippedDown: false,
    })
    expect(renderedParameters({ viewport: '4,4,,,,-5' }).viewport).toMatchObject({
      source: { left: 0, top: 0, width: Number.POSITIVE_INFINITY, height: 5 },
      isFlippedAcross: false,
      isFlippedDown: true,
    })
    expect(() => thumbnailParameters({ viewport: '4,4,1,2,-3,5' })).toThrow(HttpProblem)
    expect(() => renderedParameters({ viewport: '4,4,-1,2,3,5' })).toThrow('viewport')
  })

  test('iccprofile is no, yes or srgb; what there is of its own without it; none on thumbnails', () => {
    for (const profile of ['no', 'yes', 'srgb']) {
      expect(renderedParameters({ iccprofile: profile }).profile).toBe(profile)
    }
    expect(renderedParameters({}).profile).toBe('own')
    expect(thumbnailParameters({ iccprofile: 'yes' }).profile).toBe('no')
    for (const iccprofile of ['adobergb', 'rommrgb', 'displayp3', '']) {
      expect(() => renderedParameters({ iccprofile })).toThrow('no, yes or srgb')
    }
  })
})
