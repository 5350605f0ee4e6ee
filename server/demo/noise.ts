/**
 * Repeatable noise: the same place always has the same value, so that a phantom is the same wherever it is made.
 */

/** From 0 to below 1, without any likeness between neighbours. */
export function grain(x: number, y: number, z: number): number {
  let h = Math.imul(x, 0x1b873593) ^ Math.imul(y, 0x27d4eb2f) ^ Math.imul(z, 0x165667b1)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39)
  return ((h ^ (h >>> 15)) >>> 0) / 2 ** 32
}

/** From 0 to 1, smooth, with details of one unit. */
export function cloud(x: number, y: number, z: number): number {
  const [ix, iy, iz] = [Math.floor(x), Math.floor(y), Math.floor(z)]
  const [fx, fy, fz] = [ease(x - ix), ease(y - iy), ease(z - iz)]
  return mix(square(ix, iy, iz, fx, fy), square(ix, iy, iz + 1, fx, fy), fz)
}

// A function of its own, not one made at each call: that takes longer than all it does.
function square(x: number, y: number, z: number, shareX: number, shareY: number): number {
  return mix(
    mix(grain(x, y, z), grain(x + 1, y, z), shareX),
    mix(grain(x, y + 1, z), grain(x + 1, y + 1, z), shareX),
    shareY,
  )
}

export function mix(from: number, to: number, share: number): number {
  return from + (to - from) * share
}

/** 0 below `from`, 1 above `to`, and smooth between them. */
export function step(from: number, to: number, value: number): number {
  return ease(Math.min(1, Math.max(0, (value - from) / (to - from))))
}

function ease(t: number): number {
  return t * t * (3 - 2 * t)
}

/** Of a vector; Math.hypot takes ten times as long. */
export function length(x: number, y: number): number {
  return Math.sqrt(x * x + y * y)
}
