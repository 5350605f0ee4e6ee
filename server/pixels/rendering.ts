/** How a frame becomes a picture: what PS3.3 C.11 and the request say, gathered. */
export interface Rendering {
  /** Modality LUT: `stored * slope + intercept`, or a table. (PS3.3 C.11.1) */
  slope: number
  intercept: number
  modalityLUT?: LookupTable | undefined
  /** VOI LUT: a window, or a table. Neither: all values that the frame has. (PS3.3 C.11.2) */
  window?: Window | undefined
  voiLUT?: LookupTable | undefined
  /** The smallest value is white: MONOCHROME1, or Presentation LUT Shape INVERSE. */
  isInverse: boolean
  /** The first and the last of the stored values that are no picture, left out when there is no window. (PS3.3 C.7.5.1.1.2) */
  padding?: [first: number, last: number] | undefined
  /** Red, green and blue of PALETTE COLOR. */
  palette?: [LookupTable, LookupTable, LookupTable] | undefined
  /** Drawn in white on what has become of the pixels. */
  overlays?: readonly Overlay[] | undefined
  viewport?: Viewport | undefined
  /** The height of a pixel, its width being 1. (PS3.3 C.7.6.3.1.7) */
  pixelAspect: number
  /** What the colours of the picture are, where that is to be in it. */
  iccProfile?: Uint8Array | undefined
}

/** Graphics of one bit a pixel, the first one the lowest bit (PS3.3 C.9.2, PS3.5 8.1.2). */
export interface Overlay {
  /** The pixel of the image, from 0, on which the first one lies; may lie outside. */
  top: number
  left: number
  rows: number
  columns: number
  /** Where the plane begins in the bits. */
  firstBit: number
  bits: Uint8Array
}

export type WindowFunction = 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID'

export interface Window {
  center: number
  width: number
  function: WindowFunction
}

/** PS3.3 C.7.6.3.1.5 and C.11.1.1: the first value that is mapped, the bits of an entry, the entries. */
export interface LookupTable {
  first: number
  bits: number
  values: Uint16Array
}

/** Pixels that the picture shall fit into, and of the source which part to show. (PS3.18 8.3.5.1.3) */
export interface Viewport {
  width: number
  height: number
  source?: { left: number; top: number; width: number; height: number } | undefined
  /** Left and right, or top and bottom, change places. */
  isFlippedAcross?: boolean
  isFlippedDown?: boolean
}

/** `gif-frame` is one picture of several: without what stands before the first and behind the last. */
export type PictureType = 'image/jpeg' | 'image/png' | 'image/gif' | 'gif-frame'

/** Eight bits a channel, by pixel: 1 channel is grey, 3 are red, green and blue. */
export interface Picture {
  width: number
  height: number
  channels: 1 | 3
  pixels: Uint8Array
}
