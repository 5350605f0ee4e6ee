import type { Buffer } from 'node:buffer'
import { chestInstance, cutOff, heartbeatInstance, type StudyFacts, studyUID } from './instances.ts'
import { uidOf } from './uids.ts'

/** One study of the demonstration, and how it is sent. */
export interface DemoStudy {
  studyInstanceUID: string
  /** For people: what it shows. */
  title: string
  /** Its files, made when they are asked for. */
  files(): Generator<{ sopInstanceUID: string; file: Buffer }>
  /** Declared before it is sent; undefined: nothing is. */
  declaredInstanceCount?: number
  /** Instances that the server is to refuse. */
  refusedCount: number
  /** Seconds that the sending is stretched to. */
  seconds: number
}

const chestSlices = 100
const incompleteSlices = 40
const incompleteSent = 32
const badSlices = 12
const badSlice = 7

/**
 * The studies of the demonstration, which are the same for the same set: their UIDs, and every byte on one runtime.
 *
 * @param set Any text. Another one makes other studies of the same patients.
 */
export function demoStudies(set: string): DemoStudy[] {
  const of = (key: string, facts: Omit<StudyFacts, 'name'>): StudyFacts => ({
    name: `${set} ${key}`,
    ...facts,
  })
  const echo = of('echo', {
    ...{ patientName: 'Demo^Echo', patientID: 'DEMO-2', sex: 'M', birthDate: '19711104' },
    ...{ accessionNumber: 'DEMO-A2', date: '20260304', time: '101500' },
    description: 'Echocardiogram (phantom)',
  })
  const chest = of('chest', {
    ...{ patientName: 'Demo^Chest', patientID: 'DEMO-1', sex: 'F', birthDate: '19580321' },
    ...{ accessionNumber: 'DEMO-A1', date: '20260304', time: '093000' },
    description: 'CT chest (phantom)',
  })
  const incomplete = of('incomplete', {
    ...{ patientName: 'Demo^Incomplete', patientID: 'DEMO-3', sex: 'F', birthDate: '19840712' },
    ...{ accessionNumber: 'DEMO-A3', date: '20260304', time: '111000' },
    description: 'CT chest, some slices never sent (phantom)',
  })
  const bad = of('bad', {
    ...{ patientName: 'Demo^Refused', patientID: 'DEMO-4', sex: 'M', birthDate: '19901230' },
    ...{ accessionNumber: 'DEMO-A4', date: '20260304', time: '120500' },
    description: 'CT chest, one file cut off (phantom)',
  })
  return [
    {
      studyInstanceUID: studyUID(chest),
      title: `CT of a chest, ${chestSlices} slices`,
      files: () => slices(chest, chestSlices, chestSlices),
      refusedCount: 0,
      seconds: 25,
    },
    {
      studyInstanceUID: studyUID(echo),
      title: 'ultrasound loop of a heart',
      *files() {
        yield { sopInstanceUID: uidOf(`${echo.name} loop`), file: heartbeatInstance(echo) }
      },
      refusedCount: 0,
      seconds: 6,
    },
    {
      studyInstanceUID: studyUID(bad),
      title: `${badSlices} slices, of which one file is cut off and refused`,
      *files() {
        for (const [index, one] of [...slices(bad, badSlices, badSlices)].entries()) {
          yield index + 1 === badSlice ? { ...one, file: cutOff(one.file) } : one
        }
      },
      refusedCount: 1,
      seconds: 3,
    },
    {
      studyInstanceUID: studyUID(incomplete),
      title: `${incompleteSent} slices, of ${incompleteSlices} that are declared`,
      files: () => slices(incomplete, incompleteSent, incompleteSlices),
      declaredInstanceCount: incompleteSlices,
      refusedCount: 0,
      seconds: 10,
    },
  ]
}

function* slices(study: StudyFacts, made: number, whole: number) {
  for (let number = 1; number <= made; number++) {
    const sopInstanceUID = uidOf(`${study.name} ${number}`)
    yield { sopInstanceUID, file: chestInstance(study, number, whole) }
  }
}
