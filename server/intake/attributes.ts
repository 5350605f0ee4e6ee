import type { AttributeKeyword, Attributes } from '../dicom/instance.ts'

/** Attributes of one level, and the DICOM keywords that the database knows them by. */
export type LevelAttributes = readonly (readonly [name: AttributeKeyword, keyword: string])[]

/** What an instance says of its study. */
export const studyAttributes = level([
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
])

/** What it says of its series. */
export const seriesAttributes = level([
  'modality',
  'seriesNumber',
  'seriesDescription',
  'bodyPartExamined',
  'performedProcedureStepStartDate',
  'performedProcedureStepStartTime',
])

const instanceTexts = level(['instanceNumber'])
const instanceNumbers = level(['numberOfFrames', 'rows', 'columns', 'bitsAllocated'])

/** What a search needs of the instance itself. Numbers that are none are left out. */
export function instanceAttributes(attributes: Attributes): Record<string, string | number> {
  const picked: Record<string, string | number> = pick(attributes, instanceTexts)
  for (const [name, keyword] of instanceNumbers) {
    const number = Number(attributes[name] ?? Number.NaN)
    if (Number.isInteger(number) && number >= 0 && number < 2 ** 31) picked[keyword] = number
  }
  return picked
}

/** What an instance says at one level, by DICOM keyword; attributes without a value are left out. */
export function pick(attributes: Attributes, wanted: LevelAttributes): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const [name, keyword] of wanted) {
    const text = databaseText(attributes[name])
    if (text !== undefined) picked[keyword] = text
  }
  return picked
}

/** Whether that is what was picked from another instance; nothing is made to find out. */
export function says(
  attributes: Attributes,
  picked: Readonly<Record<string, string>>,
  wanted: LevelAttributes,
): boolean {
  for (const [name, keyword] of wanted) {
    const text = attributes[name]
    if (text !== picked[keyword] && databaseText(text) !== picked[keyword]) return false
  }
  return true
}

/**
 * More than any of these may have (PS3.5 6.2: a PN three groups of 64), and so little that an index takes
 * it: Postgres refuses a key over 2.7 KB. The file and its metadata keep the whole value. (VA-8)
 */
const longestText = 256

function databaseText(value: string | undefined): string | undefined {
  // Postgres takes no NUL in text; one inside a value is an encoding error of the sender.
  const text = value?.replaceAll('\0', '')
  if (!text) return undefined
  if (text.length <= longestText) return text
  // A surrogate without its other half is no text to Postgres.
  const cut = text.slice(0, longestText).replace(/[\uD800-\uDBFF]$/, '')
  // A slice would keep all of a text of 64 KiB alive for as long as the transfer remembers it.
  return Buffer.from(cut, 'utf16le').toString('utf16le')
}

function level(names: AttributeKeyword[]): LevelAttributes {
  return names.map((name) => [name, name.charAt(0).toUpperCase() + name.slice(1)])
}
