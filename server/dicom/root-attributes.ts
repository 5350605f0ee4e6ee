import { latin1, trimEnd, u16 } from './bytes.ts'
import type { CharacterSet } from './character-sets.ts'
import type { AttributeKeyword, Attributes, Warning } from './instance.ts'
import { readRequestAttributes } from './request-attributes.ts'
import { fault, type Syntax } from './value-syntax.ts'
import { kinds } from './vr.ts'

/** The root-level attributes that the database keeps, and what is looked at in their values. */
const table: [tag: number, keyword: string, name: AttributeKeyword, syntax?: Syntax][] = [
  [0x00080020, 'StudyDate', 'studyDate', 'date'],
  [0x00080030, 'StudyTime', 'studyTime', 'time'],
  [0x00080050, 'AccessionNumber', 'accessionNumber', 'SH'],
  [0x00080060, 'Modality', 'modality', 'CS'],
  [0x00080090, 'ReferringPhysicianName', 'referringPhysicianName', 'PN'],
  [0x00080201, 'TimezoneOffsetFromUTC', 'timezoneOffsetFromUTC', 'SH'],
  [0x00081030, 'StudyDescription', 'studyDescription', 'LO'],
  [0x0008103e, 'SeriesDescription', 'seriesDescription', 'LO'],
  [0x00100010, 'PatientName', 'patientName', 'PN'],
  [0x00100020, 'PatientID', 'patientID', 'LO'],
  [0x00100021, 'IssuerOfPatientID', 'issuerOfPatientID', 'LO'],
  [0x00100030, 'PatientBirthDate', 'patientBirthDate', 'date'],
  [0x00100040, 'PatientSex', 'patientSex', 'CS'],
  [0x00180015, 'BodyPartExamined', 'bodyPartExamined', 'CS'],
  [0x00181090, 'CardiacNumberOfImages', 'cardiacNumberOfImages'],
  [0x00200010, 'StudyID', 'studyID', 'SH'],
  [0x00200011, 'SeriesNumber', 'seriesNumber', 'integer'],
  [0x00200013, 'InstanceNumber', 'instanceNumber', 'integer'],
  [0x00200105, 'NumberOfTemporalPositions', 'numberOfTemporalPositions'],
  [0x00201002, 'ImagesInAcquisition', 'imagesInAcquisition'],
  [0x00201208, 'NumberOfStudyRelatedInstances', 'numberOfStudyRelatedInstances'],
  [0x00201209, 'NumberOfSeriesRelatedInstances', 'numberOfSeriesRelatedInstances'],
  [0x00280008, 'NumberOfFrames', 'numberOfFrames', 'integer'],
  [0x00280010, 'Rows', 'rows'],
  [0x00280011, 'Columns', 'columns'],
  [0x00280100, 'BitsAllocated', 'bitsAllocated'],
  [0x00400244, 'PerformedProcedureStepStartDate', 'performedProcedureStepStartDate', 'date'],
  [0x00400245, 'PerformedProcedureStepStartTime', 'performedProcedureStepStartTime', 'time'],
  [0x00540081, 'NumberOfSlices', 'numberOfSlices'],
  [0x00540101, 'NumberOfTimeSlices', 'numberOfTimeSlices'],
]

/** The UIDs that identify an instance: they are checked when the file has ended. */
const uids: [tag: number, keyword: IdentityKeyword][] = [
  [0x00080016, 'SOPClassUID'],
  [0x00080018, 'SOPInstanceUID'],
  [0x0020000d, 'StudyInstanceUID'],
  [0x0020000e, 'SeriesInstanceUID'],
]

export type IdentityKeyword =
  | 'SOPClassUID'
  | 'SOPInstanceUID'
  | 'StudyInstanceUID'
  | 'SeriesInstanceUID'

/** One attribute of the root that is wanted: of those in the table, or a UID. */
export type RootAttribute =
  | { keyword: string; name: AttributeKeyword; syntax: Syntax | undefined }
  | { keyword: IdentityKeyword; name: undefined; syntax: undefined }

/** What a value says. */
export interface Said {
  text: string
  /** What is wrong with it. */
  reason: string | undefined
}

/** Both tables by tag. */
const wanted = new Map<number, RootAttribute>()
for (const [tag, keyword, name, syntax] of table) wanted.set(tag, { keyword, name, syntax })
for (const [tag, keyword] of uids) wanted.set(tag, { keyword, name: undefined, syntax: undefined })

export function rootAttributeOf(tag: number): RootAttribute | undefined {
  return wanted.get(tag)
}

/** Reads the value of an attribute that is wanted. */
export function saidBy(
  { name, syntax }: RootAttribute,
  kind: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  bigEndian: boolean,
  characterSet: CharacterSet,
): Said {
  // As in the file but for the padding.
  if (name === undefined) {
    return { text: latin1(bytes, start, trimEnd(bytes, start, end)), reason: undefined }
  }
  const text = valueText(kind, bytes, start, end, bigEndian, characterSet)
  return { text, reason: syntax === undefined || text === '' ? undefined : fault(syntax, text) }
}

/** With a place for each: V8 makes a dictionary of an object that gets more than twelve by computed names. */
function noAttributes(): Attributes {
  return {
    studyDate: undefined,
    studyTime: undefined,
    accessionNumber: undefined,
    modality: undefined,
    referringPhysicianName: undefined,
    timezoneOffsetFromUTC: undefined,
    studyDescription: undefined,
    seriesDescription: undefined,
    patientName: undefined,
    patientID: undefined,
    issuerOfPatientID: undefined,
    patientBirthDate: undefined,
    patientSex: undefined,
    bodyPartExamined: undefined,
    cardiacNumberOfImages: undefined,
    studyID: undefined,
    seriesNumber: undefined,
    instanceNumber: undefined,
    numberOfTemporalPositions: undefined,
    imagesInAcquisition: undefined,
    numberOfStudyRelatedInstances: undefined,
    numberOfSeriesRelatedInstances: undefined,
    numberOfFrames: undefined,
    rows: undefined,
    columns: undefined,
    bitsAllocated: undefined,
    performedProcedureStepStartDate: undefined,
    performedProcedureStepStartTime: undefined,
    numberOfSlices: undefined,
    numberOfTimeSlices: undefined,
    requestAttributesSequence: undefined,
  }
}

/** Collects what stands at the root of a data set while it is read. */
export class RootAttributes {
  readonly attributes: Attributes = noAttributes()
  /** As in the file but for the padding; '' for an empty one. */
  readonly uids: Partial<Record<IdentityKeyword, string>> = {}
  readonly warnings: Warning[] = []

  take({ keyword, name }: RootAttribute, { text, reason }: Said): void {
    if (name === undefined) {
      this.uids[keyword] = text
      return
    }
    if (text === '') return
    this.attributes[name] = text
    if (reason !== undefined) this.warnings.push({ keyword, reason })
  }

  /** @param member Its JSON: see {@link readRequestAttributes}. */
  takeRequestAttributes(member: Uint8Array): void {
    const items = readRequestAttributes(member)
    if (items.length > 0) this.attributes.requestAttributesSequence = items
  }
}

function valueText(
  kind: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  bigEndian: boolean,
  characterSet: CharacterSet,
): string {
  if (kind === kinds.us) return end - start < 2 ? '' : String(u16(bytes, start, bigEndian))
  if (kind > kinds.us) return ''
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (byte > 0x7f || byte === 0x1b) {
      return trimmed(characterSet.values(bytes, start, end, kind === kinds.personName).join('\\'))
    }
  }
  return trimmed(latin1(bytes, start, end))
}

/** Without padding at both ends; an inner NUL cannot go into a text column of Postgres. */
function trimmed(text: string): string {
  const value = withoutPadding(text)
  let start = 0
  while (start < value.length && isPadding(value.charCodeAt(start))) start++
  const inner = value.slice(start)
  return inner.includes('\0') ? inner.replaceAll('\0', '\uFFFD') : inner
}

/** Spaces and NULs at the end are padding (VA-2). */
function withoutPadding(text: string): string {
  let end = text.length
  while (end > 0 && isPadding(text.charCodeAt(end - 1))) end--
  return text.slice(0, end)
}

function isPadding(code: number): boolean {
  return code === 0x20 || code === 0
}
