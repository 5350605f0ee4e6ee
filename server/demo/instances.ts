import { Buffer } from 'node:buffer'
import { chestOffset, chestSide, chestSlice, chestSpacing } from './chest.ts'
import { type Entry, part10 } from './data-set.ts'
import { beatFrames, frameTimeMs, heartbeatFrame, loopHeight, loopWidth } from './heartbeat.ts'
import { uidOf } from './uids.ts'

/** What the instances of one study have in common. */
export interface StudyFacts {
  /** From which all its UIDs are made. */
  name: string
  patientName: string
  patientID: string
  sex: 'F' | 'M'
  birthDate: string
  accessionNumber: string
  date: string
  time: string
  description: string
}

const ctImageStorage = '1.2.840.10008.5.1.4.1.1.2'
const ultrasoundMultiFrameStorage = '1.2.840.10008.5.1.4.1.1.3.1'

export const studyUID = (study: StudyFacts) => uidOf(study.name)

/**
 * One slice of a CT of the chest, 128 KiB of pixels (PS3.3 A.3).
 *
 * @param number From 1 to `count`, from the apex of the lungs down.
 */
export function chestInstance(study: StudyFacts, number: number, count: number): Buffer {
  const height = (number - 1) / Math.max(1, count - 1)
  const z = Math.round(-height * 3000) / 10
  const corner = (-chestSide / 2) * chestSpacing
  const pixels = chestSlice(height, number)
  return part10([
    ...common(study, ctImageStorage, `${study.name} ${number}`),
    [0x00080008, 'CS', 'ORIGINAL', 'PRIMARY', 'AXIAL'],
    [0x00080060, 'CS', 'CT'],
    [0x0008103e, 'LO', 'Chest 3 mm'],
    [0x00180015, 'CS', 'CHEST'],
    [0x00180050, 'DS', 3],
    [0x00180060, 'DS', 120],
    [0x00185100, 'CS', 'HFS'],
    [0x00200011, 'IS', 1],
    [0x00200012, 'IS', 1],
    [0x00200013, 'IS', number],
    [0x00200032, 'DS', corner, corner, z],
    [0x00200037, 'DS', 1, 0, 0, 0, 1, 0],
    [0x00200052, 'UI', uidOf(`${study.name} frame of reference`)],
    [0x00201040, 'LO'],
    [0x00201041, 'DS', z],
    ...image(chestSide, chestSide, 16, 12),
    [0x00280030, 'DS', chestSpacing, chestSpacing],
    [0x00281050, 'DS', 40, -550],
    [0x00281051, 'DS', 400, 1600],
    [0x00281052, 'DS', -chestOffset],
    [0x00281053, 'DS', 1],
    [0x00281054, 'LO', 'HU'],
    [0x00281055, 'LO', 'MEDIASTINUM', 'LUNG'],
    [0x7fe00010, 'OW', littleEndian(pixels)],
  ])
}

/** Two heartbeats of an echocardiogram as one instance of some 4 MB (PS3.3 A.7). */
export function heartbeatInstance(study: StudyFacts): Buffer {
  const count = 2 * beatFrames
  const beat = Array.from({ length: beatFrames }, (_, frame) => heartbeatFrame(frame))
  return part10([
    ...common(study, ultrasoundMultiFrameStorage, `${study.name} loop`),
    [0x00080008, 'CS', 'ORIGINAL', 'PRIMARY'],
    [0x00080060, 'CS', 'US'],
    [0x0008103e, 'LO', 'Four chambers from the apex'],
    [0x00082142, 'IS', 1],
    [0x00082143, 'IS', count],
    [0x00082144, 'IS', 1000 / frameTimeMs],
    [0x00180040, 'IS', 1000 / frameTimeMs],
    [0x00181063, 'DS', frameTimeMs],
    [0x00200011, 'IS', 1],
    [0x00200013, 'IS', 1],
    [0x00200020, 'CS'],
    [0x00280008, 'IS', count],
    [0x00280009, 'AT', '00181063'],
    ...image(loopHeight, loopWidth, 8, 8),
    [0x00282110, 'CS', '00'],
    [0x7fe00010, 'OB', Buffer.concat([...beat, ...beat])],
  ])
}

/** A file whose end is missing, as a copy that was broken off leaves it. */
export function cutOff(file: Buffer): Buffer {
  return file.subarray(0, file.length - Math.floor(chestSide * chestSide * 0.7))
}

/** SOP Common, Patient, General Study, General Series, Equipment (PS3.3 C.12.1, C.7.1 to C.7.5). */
function common(study: StudyFacts, sopClassUID: string, instanceName: string): Entry[] {
  return [
    [0x00080016, 'UI', sopClassUID],
    [0x00080018, 'UI', uidOf(instanceName)],
    [0x00080020, 'DA', study.date],
    [0x00080021, 'DA', study.date],
    [0x00080023, 'DA', study.date],
    [0x00080030, 'TM', study.time],
    [0x00080031, 'TM', study.time],
    [0x00080033, 'TM', study.time],
    [0x00080050, 'SH', study.accessionNumber],
    [0x00080070, 'LO', 'Stowage'],
    [0x00080080, 'LO', 'Stowage demonstration'],
    [0x00080090, 'PN', ''],
    [0x00081030, 'LO', study.description],
    [0x00081090, 'LO', 'Phantom'],
    [0x00100010, 'PN', study.patientName],
    [0x00100020, 'LO', study.patientID],
    [0x00100030, 'DA', study.birthDate],
    [0x00100040, 'CS', study.sex],
    [0x0020000d, 'UI', studyUID(study)],
    [0x0020000e, 'UI', uidOf(`${study.name} series`)],
    [0x00200010, 'SH', study.accessionNumber],
  ]
}

/** Image Pixel (PS3.3 C.7.6.3), of unsigned grey. */
function image(rows: number, columns: number, allocated: number, stored: number): Entry[] {
  return [
    [0x00280002, 'US', 1],
    [0x00280004, 'CS', 'MONOCHROME2'],
    [0x00280010, 'US', rows],
    [0x00280011, 'US', columns],
    [0x00280100, 'US', allocated],
    [0x00280101, 'US', stored],
    [0x00280102, 'US', stored - 1],
    [0x00280103, 'US', 0],
  ]
}

function littleEndian(pixels: Uint16Array): Buffer {
  const bytes = Buffer.alloc(pixels.length * 2)
  for (const [index, pixel] of pixels.entries()) bytes.writeUInt16LE(pixel, index * 2)
  return bytes
}
