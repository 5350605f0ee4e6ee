import { cloud, grain, length, mix, step } from './noise.ts'

export const loopWidth = 320
export const loopHeight = 240

/** Milliseconds from frame to frame, and frames of one heartbeat. */
export const frameTimeMs = 40
export const beatFrames = 24

/** Where the probe is, in pixels; how deep it sees, and half the angle of its sector in radians. */
const probeX = loopWidth / 2
const probeY = 8
const depth = 220
const halfAngle = 0.66

/**
 * One frame of a made-up echocardiogram, 8 bits of grey: four chambers seen from the apex, which beat.
 *
 * @returns `loopHeight` rows of `loopWidth` pixels.
 */
export function heartbeatFrame(frame: number): Uint8Array {
  const pixels = new Uint8Array(loopWidth * loopHeight)
  const inBeat = frame % beatFrames
  const phase = (inBeat / beatFrames) * 2 * Math.PI
  // Contracts fast, fills slowly.
  const squeeze = Math.max(0, Math.sin(phase)) ** 0.7
  const open = step(0.1, 0.9, -Math.sin(phase))
  for (let row = 0; row < loopHeight; row++) {
    for (let column = 0; column < loopWidth; column++) {
      const [x, y] = [column - probeX, row - probeY]
      const range = length(x, y)
      const angle = Math.atan2(x, y)
      if (range < 10 || range > depth || Math.abs(angle) > halfAngle) continue
      const echo = echoAt(x, y, squeeze, open)
      pixels[row * loopWidth + column] = Math.round(
        255 * Math.min(1, echo * speckle(range, angle, inBeat) * attenuation(range, angle)),
      )
    }
  }
  addScale(pixels)
  return pixels
}

/** How much a place sends back, 0 to 1: x to the right of the probe, y away from it, in pixels. */
function echoAt(x: number, y: number, squeeze: number, open: number): number {
  const shrink = 1 - 0.26 * squeeze
  const lift = 6 * squeeze
  // Left and right ventricle, left and right atrium: blood is dark.
  const left = chamber(x, y, 30, 92 - lift, 30 * shrink, 56 * shrink)
  const right = chamber(x, y, -32, 98 - lift, 22 * shrink, 46 * shrink)
  const leftAtrium = chamber(x, y, 30, 172, 30 * (1 + 0.14 * squeeze), 26 * (1 + 0.1 * squeeze))
  const rightAtrium = chamber(x, y, -32, 172, 27 * (1 + 0.14 * squeeze), 25)
  const nearest = Math.min(left, right, leftAtrium, rightAtrium)
  const valves = valve(x, y, 30, 144 - lift, 24, open) + valve(x, y, -32, 144 - lift, 20, open)
  if (valves > 0) return 0.95
  if (nearest < 1) return 0.05
  // Walls are bright at their edge, and so is the sac around the heart.
  const wall = 0.42 + 0.5 * (1 - step(1, 1.09, nearest))
  const heart = chamber(x, y, 0, 118, 82, 98)
  if (heart < 1) return wall
  if (heart < 1.06) return 1
  return 0.22 + 0.3 * cloud(x / 16, y / 7, 5)
}

function chamber(x: number, y: number, atX: number, atY: number, radiusX: number, radiusY: number) {
  return length((x - atX) / radiusX, (y - atY) / radiusY)
}

/** Two leaflets that hang from the sides; open, they swing into the ventricle. */
function valve(x: number, y: number, atX: number, atY: number, half: number, open: number): number {
  const inward = half - Math.abs(x - atX)
  if (inward < 0 || inward > mix(half, half * 0.55, open)) return 0
  return Math.abs(y - (atY - inward * open * 1.1)) < 1.6 ? 1 : 0
}

/** Grains that are wide across the beam and short along it, and glitter from frame to frame. */
function speckle(range: number, angle: number, frame: number): number {
  const fixed = cloud(range / 1.6, angle * 70, 11)
  const moving = grain(Math.round(range), Math.round(angle * 260), frame)
  return 0.35 + 1.0 * fixed + 0.28 * moving
}

function attenuation(range: number, angle: number): number {
  const edge = 1 - step(halfAngle * 0.9, halfAngle, Math.abs(angle)) * 0.6
  return mix(1, 0.62, range / depth) * edge
}

/** Ticks every centimetre at the right edge, as machines draw them. */
function addScale(pixels: Uint8Array): void {
  for (let tick = 0; tick <= 10; tick++) {
    const row = probeY + tick * 22
    const wide = tick % 5 === 0 ? 8 : 4
    for (let at = 0; at < wide; at++) pixels[row * loopWidth + loopWidth - 6 - at] = 200
  }
}
