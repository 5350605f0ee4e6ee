import type { ImagePixel } from '../../server/pixels/image-pixel.ts'
import type { Rendering } from '../../server/pixels/rendering.ts'

/** Grey, 16 bits, 4 x 2, changed by what is given. */
export function imagePixel(options: Partial<ImagePixel> = {}): ImagePixel {
  return {
    rows: 2,
    columns: 4,
    samplesPerPixel: 1,
    photometricInterpretation: 'MONOCHROME2',
    planarConfiguration: 0,
    bitsAllocated: 16,
    bitsStored: 16,
    pixelRepresentation: 0,
    numberOfFrames: 1,
    isFloat: false,
    tag: '7FE00010',
    vr: 'OW',
    offset: 0,
    length: 16,
    ...options,
  }
}

export function rendering(options: Partial<Rendering> = {}): Rendering {
  return { slope: 1, intercept: 0, isInverse: false, pixelAspect: 1, ...options }
}
