import { HttpProblem } from '../http/problem.ts'
import type { Viewport, Window, WindowFunction } from '../pixels/rendering.ts'

export interface RenderedParameters {
  /** 1 to 100. */
  quality: number
  window?: Window | undefined
  viewport?: Viewport | undefined
  /** Whether Overlay Planes are drawn: on no thumbnail, for they may say who it is (WA-R7). */
  hasOverlays: boolean
  profile: ProfileChoice
}

/**
 * Which ICC profile is in a picture in colour (PS3.18 8.3.5.1.5): `own` is that of the data set, if it has one; `yes`
 * the same, else sRGB; `srgb` sRGB.
 */
export type ProfileChoice = 'no' | 'own' | 'yes' | 'srgb'

const maximumViewport = 8192
const defaultQuality = 90
const thumbnailSize = 128

const windowFunctions = new Map<string, WindowFunction>([
  ['linear', 'LINEAR'],
  ['linear-exact', 'LINEAR_EXACT'],
  ['sigmoid', 'SIGMOID'],
])

/**
 * The parameters of a rendered resource (PS3.18 8.3.5.1). `annotation` is checked; nothing is written on pictures.
 *
 * @throws {HttpProblem} 400 a value that is none
 */
export function renderedParameters(query: Record<string, string>): RenderedParameters {
  const { annotation, iccprofile, quality, viewport, window } = query
  for (const value of annotation?.split(',') ?? []) {
    if (value !== 'patient' && value !== 'technique') {
      throw wrong('annotation', 'patient, technique, or both')
    }
  }
  return {
    profile: iccprofile === undefined ? 'own' : profileOf(iccprofile),
    hasOverlays: true,
    quality: quality === undefined ? defaultQuality : qualityOf(quality),
    window: window === undefined ? undefined : windowOf(window),
    viewport: viewport === undefined ? undefined : viewportOf(viewport, true),
  }
}

/** A thumbnail takes a size only (PS3.18 8.3.5.1.3). @throws {HttpProblem} 400 */
export function thumbnailParameters({ viewport }: Record<string, string>): RenderedParameters {
  return {
    hasOverlays: false,
    profile: 'no',
    quality: defaultQuality,
    viewport:
      viewport === undefined
        ? { width: thumbnailSize, height: thumbnailSize }
        : viewportOf(viewport, false),
  }
}

function qualityOf(text: string): number {
  const quality = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (quality < 1 || quality > 100) throw wrong('quality', 'a whole number from 1 to 100')
  return quality
}

/** Colours are not turned into those of another space, so the others of PS3.18 are none here. */
function profileOf(text: string): ProfileChoice {
  if (text === 'no' || text === 'yes' || text === 'srgb') return text
  throw wrong('iccprofile', 'no, yes or srgb')
}

function windowOf(text: string): Window {
  const [center = '', width = '', name = '', ...more] = text.split(',')
  const shape = windowFunctions.get(name.toLowerCase())
  const isRight = isDecimal(center) && isDecimal(width) && shape !== undefined && more.length === 0
  if (!isRight || Number(width) < (shape === 'LINEAR' ? 1 : Number.MIN_VALUE)) {
    throw wrong('window', 'center,width,function, with linear, linear-exact or sigmoid')
  }
  return { center: Number(center), width: Number(width), function: shape }
}

function viewportOf(text: string, withSource: boolean): Viewport {
  const values = text.split(',')
  const isRight =
    (values.length === 2 || (withSource && values.length === 6)) &&
    values.every((value, index) => (index > 1 && value === '') || isDecimal(value))
  const [width, height, left, top, sourceWidth, sourceHeight] = values.map((value) =>
    value === '' ? undefined : Number(value),
  )
  const isSize = (size: number | undefined) =>
    Number.isInteger(size) && (size as number) >= 1 && (size as number) <= maximumViewport
  const isRegion = (left ?? 0) >= 0 && (top ?? 0) >= 0 && sourceWidth !== 0 && sourceHeight !== 0
  if (!isRight || !isSize(width) || !isSize(height) || !isRegion) {
    const form = withSource ? 'vw,vh or vw,vh,sx,sy,sw,sh' : 'vw,vh'
    throw wrong('viewport', `${form}, in pixels, of 1 to ${maximumViewport}`)
  }
  const size = { width: width as number, height: height as number }
  if (values.length === 2) return size
  // What is left out is the whole image; below 0, it is that much of it, flipped (PS3.18 8.3.5.1.3).
  const source = {
    left: left ?? 0,
    top: top ?? 0,
    width: Math.abs(sourceWidth ?? Number.POSITIVE_INFINITY),
    height: Math.abs(sourceHeight ?? Number.POSITIVE_INFINITY),
  }
  return {
    ...size,
    source,
    isFlippedAcross: (sourceWidth ?? 1) < 0,
    isFlippedDown: (sourceHeight ?? 1) < 0,
  }
}

function isDecimal(text: string): boolean {
  return /^[+-]?(\d{1,9}(\.\d{0,9})?|\.\d{1,9})(e[+-]?\d{1,2})?$/i.test(text.trim())
}

function wrong(name: string, takes: string): HttpProblem {
  return new HttpProblem(400, `Cannot render: the parameter ${name} takes ${takes}`)
}
