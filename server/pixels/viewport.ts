import type { Picture, Viewport } from './rendering.ts'

/**
 * Cuts the source region out and scales it into the viewport, its shape kept (PS3.18 8.3.5.1.3): that of what was
 * imaged, where pixels are not square.
 *
 * Smaller: each pixel is the mean of those it covers. Larger: between the four nearest.
 */
export function intoViewport(picture: Picture, viewport: Viewport, pixelAspect: number): Picture {
  const { source = { left: 0, top: 0, width: picture.width, height: picture.height } } = viewport
  const region = cut(picture, source)
  const shownHeight = region.height * pixelAspect
  const scale = Math.min(viewport.width / region.width, viewport.height / shownHeight)
  const width = Math.max(1, Math.round(region.width * scale))
  const height = Math.max(1, Math.round(shownHeight * scale))
  const isSame = width === region.width && height === region.height
  return flipped(isSame ? region : scaled(scaled(region, width, true), height, false), viewport)
}

function flipped(picture: Picture, { isFlippedAcross, isFlippedDown }: Viewport): Picture {
  if (!isFlippedAcross && !isFlippedDown) return picture
  const { width, height, channels } = picture
  const pixels = new Uint8Array(picture.pixels.length)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const fromX = isFlippedAcross ? width - 1 - x : x
      const fromY = isFlippedDown ? height - 1 - y : y
      const from = (fromY * width + fromX) * channels
      pixels.set(picture.pixels.subarray(from, from + channels), (y * width + x) * channels)
    }
  }
  return { ...picture, pixels }
}

function cut(
  picture: Picture,
  { left, top, width, height }: NonNullable<Viewport['source']>,
): Picture {
  const { channels } = picture
  const x = Math.min(Math.max(0, Math.floor(left)), picture.width - 1)
  const y = Math.min(Math.max(0, Math.floor(top)), picture.height - 1)
  const w = Math.max(1, Math.min(Math.floor(width), picture.width - x))
  const h = Math.max(1, Math.min(Math.floor(height), picture.height - y))
  if (w === picture.width && h === picture.height) return picture
  const pixels = new Uint8Array(w * h * channels)
  for (let row = 0; row < h; row++) {
    const from = ((y + row) * picture.width + x) * channels
    pixels.set(picture.pixels.subarray(from, from + w * channels), row * w * channels)
  }
  return { width: w, height: h, channels, pixels }
}

/** Along one axis. */
function scaled(picture: Picture, size: number, isAcross: boolean): Picture {
  const { channels } = picture
  const width = isAcross ? size : picture.width
  const height = isAcross ? picture.height : size
  const length = isAcross ? picture.width : picture.height
  const lines = isAcross ? picture.height : picture.width
  const step = isAcross ? channels : picture.width * channels
  const line = isAcross ? picture.width * channels : channels
  const outStep = isAcross ? channels : width * channels
  const outLine = isAcross ? width * channels : channels
  const pixels = new Uint8Array(width * height * channels)
  for (let i = 0; i < size; i++) {
    const weights = weightsOf(i, size, length)
    for (let other = 0; other < lines; other++) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0
        for (const [at, weight] of weights) {
          sum += weight * (picture.pixels[other * line + at * step + channel] as number)
        }
        pixels[other * outLine + i * outStep + channel] = Math.round(sum)
      }
    }
  }
  return { width, height, channels, pixels }
}

/** Which source pixels make the one at `index`, with what share; the shares are 1 together. */
function weightsOf(index: number, size: number, length: number): [at: number, weight: number][] {
  const ratio = length / size
  if (ratio > 1) {
    const [from, to] = [index * ratio, (index + 1) * ratio]
    const weights: [number, number][] = []
    for (let at = Math.floor(from); at < Math.min(length, Math.ceil(to)); at++) {
      weights.push([at, (Math.min(at + 1, to) - Math.max(at, from)) / ratio])
    }
    return weights
  }
  const middle = Math.max(0, Math.min(length - 1, (index + 0.5) * ratio - 0.5))
  const at = Math.floor(middle)
  const share = middle - at
  return share === 0
    ? [[at, 1]]
    : [
        [at, 1 - share],
        [at + 1, share],
      ]
}
