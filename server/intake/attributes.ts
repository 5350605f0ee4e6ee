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
    if (value) picked[keyword(name)] = value
  }
  return picked
}

function keyword(name: AttributeKeyword): string {
  return name.charAt(0).toUpperCase() + name.slice(1)
}
