import { makeHead } from './heads.ts'

export const setNames = ['small', 'ct', 'many', 'big'] as const
export type SetName = (typeof setNames)[number]

/** The size of a set: as the issue demands it, or small enough for a look in two minutes. */
export type SetSize = 'full' | 'quick'

export interface SetShape {
  studies: number
  seriesPerStudy: number
  instancesPerSeries: number
  rows: number
  columns: number
  numberOfFrames?: number
  modality: string
  sopClassUID: string
}

export interface Instance {
  sopInstanceUID: string
  /** The file is these, one after another. Pixels are views of one pool that all instances share. */
  pieces: Buffer[]
  byteLength: number
}

const mr = { modality: 'MR', sopClassUID: '1.2.840.10008.5.1.4.1.1.4' }
const ct = { modality: 'CT', sopClassUID: '1.2.840.10008.5.1.4.1.1.2' }
const multiFrame = { modality: 'OT', sopClassUID: '1.2.840.10008.5.1.4.1.1.7.3' }
const oneStudy = { studies: 1 }

const shapes: Record<SetName, Record<SetSize, SetShape>> = {
  small: sized(
    { ...mr, ...oneStudy, seriesPerStudy: 4, instancesPerSeries: 500, rows: 32, columns: 24 },
    { instancesPerSeries: 100 },
  ),
  ct: sized(
    { ...ct, ...oneStudy, seriesPerStudy: 2, instancesPerSeries: 300, rows: 512, columns: 512 },
    { instancesPerSeries: 100 },
  ),
  many: sized(
    { ...mr, studies: 300, seriesPerStudy: 2, instancesPerSeries: 5, rows: 204, columns: 200 },
    { studies: 40 },
  ),
  big: sized(
    {
      ...multiFrame,
      ...oneStudy,
      seriesPerStudy: 1,
      instancesPerSeries: 3,
      rows: 512,
      columns: 512,
      numberOfFrames: 382,
    },
    { numberOfFrames: 122 },
  ),
}

export function shapeOf(name: SetName, size: SetSize): SetShape {
  return shapes[name][size]
}

/**
 * Makes the instances of a set, in the order they are sent: study by study, series by series.
 *
 * The same arguments make the same bytes. Memory is that of the heads (about 4 KB an instance), for
 * pixels are views.
 *
 * @param tag 0 to 8,999: another one makes other UIDs, and other patients.
 */
export function makeInstances(name: SetName, shape: SetShape, tag: number): Instance[] {
  const instances: Instance[] = []
  for (let study = 0; study < shape.studies; study++) {
    const template = makeTemplate(name, shape, tag, study)
    for (let series = 0; series < shape.seriesPerStudy; series++) {
      for (let number = 0; number < shape.instancesPerSeries; number++) {
        const index = instances.length
        const seriesInstanceUID = uid(name, tag, study, series)
        const sopInstanceUID = `${seriesInstanceUID}.${100_000 + index}`
        const head = fill(template, sopInstanceUID, seriesInstanceUID, number + 1)
        const pieces = [head, ...pixels(template.pixelBytes, index)]
        instances.push({ sopInstanceUID, pieces, byteLength: head.length + template.pixelBytes })
      }
    }
  }
  return instances
}

/** A head whose UIDs and Instance Number stand at known places, so that the next one is a patched copy. */
interface Template {
  head: Buffer
  sopInstanceUIDAt: number[]
  seriesInstanceUIDAt: number[]
  instanceNumberAt: number[]
  pixelBytes: number
}

function makeTemplate(name: SetName, shape: SetShape, tag: number, study: number): Template {
  const { rows, columns, numberOfFrames, modality, sopClassUID } = shape
  const studyInstanceUID = uid(name, tag, study)
  // Series 89 is none of the set: its UID is found nowhere but where it is to be replaced.
  const seriesInstanceUID = uid(name, tag, study, 89)
  const sopInstanceUID = `${seriesInstanceUID}.999999`
  const instanceNumber = '999999'
  const number = String(10_000 * tag + study).padStart(8, '0')
  const head = makeHead({
    ...{ sopInstanceUID, seriesInstanceUID, studyInstanceUID, instanceNumber },
    ...{ rows, columns, numberOfFrames, modality, sopClassUID },
    patientID: `${name}-${number}`,
    patientName: `Bench^${familyNames[study % familyNames.length]}^${number}`,
    accessionNumber: `A${number}`,
    studyDate: `20${20 + (study % 6)}0${1 + (study % 9)}${10 + (study % 18)}`,
    studyDescription: `${name} study ${number}`,
  })
  const sopInstanceUIDAt = placesOf(head, sopInstanceUID)
  return {
    head,
    sopInstanceUIDAt,
    seriesInstanceUIDAt: placesOf(head, seriesInstanceUID).filter(
      (place) => !sopInstanceUIDAt.includes(place),
    ),
    instanceNumberAt: placesOf(head, instanceNumber).filter(
      (place) => !sopInstanceUIDAt.includes(place - seriesInstanceUID.length - 1),
    ),
    pixelBytes: rows * columns * 2 * (numberOfFrames ?? 1),
  }
}

const familyNames = ['Adler', 'Berger', 'Costa', 'Dubois', 'Eriksen', 'Farkas', 'Greco', 'Horvath']

function fill(
  template: Template,
  sopInstanceUID: string,
  seriesInstanceUID: string,
  instanceNumber: number,
): Buffer {
  const head = Buffer.from(template.head)
  for (const place of template.sopInstanceUIDAt) head.write(sopInstanceUID, place, 'latin1')
  for (const place of template.seriesInstanceUIDAt) head.write(seriesInstanceUID, place, 'latin1')
  const padded = String(instanceNumber).padStart(6, '0')
  for (const place of template.instanceNumberAt) head.write(padded, place, 'latin1')
  return head
}

/** As long as those of real scanners, and of one length, so that templates can be patched. */
function uid(name: SetName, tag: number, study: number, series?: number): string {
  const setNumber = 1 + setNames.indexOf(name)
  const ofStudy = `1.2.826.0.1.3680043.10.1474.7.${setNumber}.${1000 + tag}.${100 + study}`
  return series === undefined ? ofStudy : `${ofStudy}.${10 + series}`
}

const poolBytes = 16 * 1024 * 1024
/** Large pixel data is handed out in pieces of this size. */
const pieceBytes = 256 * 1024
let pool: Buffer | undefined

/** Views of the pool that begin elsewhere for each instance. */
function pixels(byteLength: number, index: number): Buffer[] {
  pool ??= makePool()
  const pieces: Buffer[] = []
  let at = (index * 24_682) % (poolBytes - pieceBytes)
  for (let left = byteLength; left > 0; ) {
    const length = Math.min(left, byteLength > 4 * pieceBytes ? pieceBytes : left)
    if (at + length > poolBytes) at = (at * 2) % pieceBytes
    pieces.push(pool.subarray(at, at + length))
    at += length
    left -= length
  }
  return pieces
}

/** Words of 12 random bits, as scanners make them: CR and LF are frequent in these, other than in noise. */
function makePool(): Buffer {
  const words = new Uint16Array(poolBytes / 2)
  // xorshift32 (Marsaglia 2003)
  for (let index = 0, state = 0x2545f491; index < words.length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state & 0x0fff
  }
  return Buffer.from(words.buffer)
}

function placesOf(bytes: Buffer, text: string): number[] {
  const places: number[] = []
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1)) places.push(at)
  return places
}

function sized(full: SetShape, quick: Partial<SetShape>): Record<SetSize, SetShape> {
  return { full, quick: { ...full, ...quick } }
}
