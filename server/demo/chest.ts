import { cloud, grain, length, mix, step } from './noise.ts'

/** Pixels a side, and mm from one to the next. */
export const chestSide = 256
export const chestSpacing = 1.4

/** What is stored is the Hounsfield unit plus this. */
export const chestOffset = 1024

const air = -1000
const lung = -860
const fat = -95
const muscle = 45
const blood = 55
const marrow = 220
const cortex = 850

/** Half the size of a phantom in mm: the body, along x (to its left) and y (to its back). */
const bodyX = 150
const bodyY = 105

/**
 * One slice of a made-up chest, as a CT would store it: unsigned, 12 bits, {@link chestOffset} above Hounsfield units.
 *
 * @param height Where the slice is, from 0 (apex of the lungs) to 1 (the dome of the diaphragm).
 * @param slice  Its number, for the grain of the picture.
 * @returns `chestSide` rows of `chestSide` pixels.
 */
export function chestSlice(height: number, slice: number): Uint16Array {
  const pixels = new Uint16Array(chestSide * chestSide)
  for (let row = 0; row < chestSide; row++) {
    const y = (row - chestSide / 2) * chestSpacing
    for (let column = 0; column < chestSide; column++) {
      const x = (column - chestSide / 2) * chestSpacing
      // The sum of three is close enough to the bell curve of a scanner's noise.
      const noise =
        grain(column, row, slice) + grain(row, slice, column) + grain(slice, column, row)
      const unit = densityAt(x, y, height) + (noise - 1.5) * 26
      pixels[row * chestSide + column] = Math.min(4095, Math.max(0, Math.round(unit + chestOffset)))
    }
  }
  return pixels
}

/** Hounsfield units at a place: mm to the left and to the back of the middle, and the height. */
function densityAt(x: number, y: number, height: number): number {
  // Shoulders are broad, and the chest is wider below.
  const wide = mix(0.86, 1, step(0, 0.4, height))
  const body = oval(x, y, 0, 0, bodyX * wide, bodyY * wide)
  if (body > 1) return tableAt(x, y)
  if (body > 0.985) return mix(muscle, 0, 0.3)
  const wall = oval(x, y, 0, -4, 128 * wide, 84 * wide)
  if (wall > 1) return mix(fat, muscle, step(0.4, 0.6, cloud(x / 22, y / 14, 3 + height * 6)) * 0.9)

  const spine = spineAt(x, y)
  if (spine !== undefined) return spine
  const rib = ribAt(x, y, wall, height)
  if (rib !== undefined) return rib
  const middle = mediastinumAt(x, y, height)
  if (middle !== undefined) return middle
  if (isLung(x, y, wall, height)) return lungAt(x, y, height)
  return muscle
}

/** Below 1 inside of an ellipse. */
function oval(x: number, y: number, atX: number, atY: number, radiusX: number, radiusY: number) {
  return length((x - atX) / radiusX, (y - atY) / radiusY)
}

/** The table that the patient lies on: a thin curved shell. */
function tableAt(x: number, y: number): number {
  const depth = y - (bodyY + 14) + (x / 60) ** 2
  if (Math.abs(x) > 165 || depth < 0 || depth > 16) return air
  return depth < 2.5 || depth > 13.5 ? -120 : -930
}

function spineAt(x: number, y: number): number | undefined {
  const canal = oval(x, y, 0, 72, 9, 8)
  if (canal < 1) return 30
  const vertebra = oval(x, y, 0, 50, 21, 16)
  if (vertebra < 1) return vertebra > 0.86 ? cortex * 0.7 : marrow + 60 * cloud(x / 3, y / 3, 1)
  const arch = oval(x, y, 0, 72, 14, 13)
  if (arch < 1) return cortex * 0.8
  const process = Math.abs(x) < 4 && y > 82 && y < 98
  const transverse = y > 68 && y < 76 && Math.abs(x) < 38
  return process || transverse ? cortex * 0.6 : undefined
}

/** Ribs slope down to the front, so that a slice cuts each of them in another place. */
function ribAt(x: number, y: number, wall: number, height: number): number | undefined {
  if (wall < 0.9) return undefined
  const around = Math.atan2(Math.abs(x) / 128, y / 84)
  // The sternum, where they meet.
  if (around > 2.95) return wall > 0.92 ? (wall > 0.97 ? cortex * 0.7 : marrow) : undefined
  const phase = (height * 9 - around * 1.35 + 20) % 1
  const off = Math.abs(phase - 0.5)
  if (off > 0.2) return undefined
  const across = length(off / 0.2, (wall - 0.95) / 0.045)
  if (across > 1) return undefined
  return across > 0.6 ? cortex : marrow
}

/** Heart, great vessels, trachea and oesophagus. */
function mediastinumAt(x: number, y: number, height: number): number | undefined {
  const aorta = oval(x, y, 20, 34, 12, 12)
  if (aorta < 1 && height > 0.34) return aorta > 0.9 ? muscle : blood + 70
  if (oval(x, y, -3, 27, 6, 5) < 1) return muscle - 10

  const fork = step(0.4, 0.52, height)
  const airway = mix(9, 6.5, fork)
  for (const side of fork > 0 ? [-1, 1] : [0]) {
    const trachea = oval(x, y, side * fork * 26, 8 + fork * 8, airway, airway)
    if (height < 0.6 && trachea < 1) return air + 10
    if (height < 0.6 && trachea < 1.2) return 20
  }
  if (height > 0.32 && height < 0.42) {
    // The arch of the aorta, from front right to back left.
    const along = Math.abs(x * 0.55 - y * 0.3 + 4)
    if (along < 11 && x > -22 && x < 30 && y > -24 && y < 40) return blood + 70
  }
  if (height > 0.44) {
    const grown = step(0.44, 0.72, height)
    const heart = oval(
      x,
      y,
      mix(4, 22, grown),
      mix(-16, -24, grown),
      mix(30, 62, grown),
      mix(22, 46, grown),
    )
    if (heart < 1) {
      const ventricle = oval(x, y, 36, -16, 24 * grown, 19 * grown)
      const right = oval(x, y, 0, -38, 26 * grown, 15 * grown)
      const inside = ventricle < 1 || right < 1
      return inside ? blood + 85 : heart > 0.95 ? fat : muscle + 45
    }
  } else if (oval(x, y, 4, -14, 30, 34) < 1) {
    for (const [atX, atY, radius] of greatVessels) {
      if (oval(x, y, atX, atY, radius, radius) < 1) return blood + 75
    }
    return fat + 25
  }
  return oval(x, y, 2, 18, 24, 34) < 1 ? fat + 40 : undefined
}

const greatVessels = [
  [-20, -18, 8],
  [-6, -8, 6],
  [8, -10, 5],
  [20, -2, 6],
] as const

/** Two lungs, small at the apex, with the dome of the diaphragm (and the liver) rising on the right. */
function isLung(x: number, y: number, wall: number, height: number): boolean {
  const full = step(-0.12, 0.42, height)
  const [left, right] = [
    oval(x, y, 70, 4, 54 * full, 78 * full),
    oval(x, y, -70, 4, 56 * full, 78 * full),
  ]
  if (wall > 0.9 || Math.min(left, right) > 1) return false
  const dome = step(0.84, 1.02, height)
  return oval(x, y, x < 0 ? -66 : 72, -6, (x < 0 ? 62 : 44) * dome, (x < 0 ? 74 : 48) * dome) > 1
}

/** Air, vessels that thin out towards the wall, and one nodule: something to find. */
function lungAt(x: number, y: number, height: number): number {
  const nodule = length(length(x + 82, y - 22), (height - 0.46) * 300)
  if (nodule < 8) return mix(35, -150, step(6, 8, nodule))
  const away = oval(x, y, x < 0 ? -22 : 22, 10, 88, 96)
  const z = height * 26
  const thick = cloud(x / 11, y / 11, z) - mix(0.74, 0.9, away)
  const thin = cloud(x / 5 + 40, y / 5, z * 2) - mix(0.84, 0.94, away)
  const vessel = Math.max(step(0, 0.06, thick), step(0, 0.05, thin) * 0.75)
  // What lies below is denser: the weight of the lung.
  return mix(lung + y * 0.5, muscle, vessel)
}
