import type { AttributeKeyword, Attributes } from '../dicom/instance.ts'

const studyKeywords = [
  'patientID',
  'issuerOfPatientID',
  'patientName',
  'patientBirthDate',
  'patientSex',
  'studyDate',
  'studyTime',
  'accessionNumber',
  'studyID',
  'studyDescription',
  'referringPhysicianName',
  'timezoneOffsetFromUTC',
] as const satisfies AttributeKeyword[]

const seriesKeywords = [
  'modality',
  'seriesNumber',
  'seriesDescription',
  'bodyPartExamined',
  'performedProcedureStepStartDate',
  'performedProcedureStepStartTime',
] as const satisfies AttributeKeyword[]

const instanceNumbers = [
  'numberOfFrames',
  'rows',
  'columns',
  'bitsAllocated',
] as const satisfies AttributeKeyword[]

/** What an instance says of its study, by DICOM keyword; attributes without a value are left out. */
export function studyAttributes(attributes: Attributes): Record<string, string> {
  return pick(attributes, studyKeywords)
}

/** What an instance says of its series, likewise. */
export function seriesAttributes(attributes: Attributes): Record<string, string> {
  return pick(attributes, seriesKeywords)
}

/** What a search needs of the instance itself. Numbers that are none are left out. */
export function instanceAttributes(attributes: Attributes): Record<string, string | number> {
  const picked: Record<string, string | number> = pick(attributes, ['instanceNumber'])
  for (const name of instanceNumbers) {
    const number = Number(attributes[name] ?? Number.NaN)
    if (Number.isInteger(number) && number >= 0 && number < 2 ** 31) picked[keyword(name)] = number
  }
  return picked
}

function pick(attributes: Attributes, names: readonly AttributeKeyword[]): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const name of names) {
    // Postgres takes no NUL in text; one inside a value is an encoding error of the sender.
    const value = attributes[name]?.replaceAll('\0', '')
    if (value) picked[keyword(name)] = shortened(value)
  }
  return picked
}

/**
 * More than any of these may have (PS3.5 6.2: a PN three groups of 64), and so little that an index takes
 * it: Postgres refuses a key over 2.7 KB. The file and its metadata keep the whole value. (VA-8)
 */
const longestText = 256

function shortened(text: string): string {
  // A surrogate without its other half is no text to Postgres.
  return text.length <= longestText
    ? text
    : text.slice(0, longestText).replace(/[\uD800-\uDBFF]$/, '')
}

function keyword(name: AttributeKeyword): string {
  return name.charAt(0).toUpperCase() + name.slice(1)
}
