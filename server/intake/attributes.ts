import type { Attributes, RequestAttributes } from '../dicom/instance.ts'

/** Attributes of one level, and the DICOM keywords that the database knows them by. */
export type LevelAttributes = readonly (readonly [name: keyof Attributes, keyword: string])[]

/** What an instance says at one level, by DICOM keyword. */
export type Picked = Record<string, string | readonly RequestAttributes[]>

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
  'requestAttributesSequence',
])

const instanceTexts = level(['instanceNumber'])
const instanceNumbers = level(['numberOfFrames', 'rows', 'columns', 'bitsAllocated'])

/** What a search needs of the instance itself. Numbers that are none are left out. */
export function instanceAttributes(attributes: Attributes): Record<string, unknown> {
  const picked: Record<string, unknown> = pick(attributes, instanceTexts)
  for (const [name, keyword] of instanceNumbers) {
    const number = Number(attributes[name] ?? Number.NaN)
    if (Number.isInteger(number) && number >= 0 && number < 2 ** 31) picked[keyword] = number
  }
  return picked
}

/** What an instance says at one level, by DICOM keyword; attributes without a value are left out. */
export function pick(attributes: Attributes, wanted: LevelAttributes): Picked {
  const picked: Picked = {}
  for (const [name, keyword] of wanted) {
    const value = databaseValue(attributes[name])
    if (value !== undefined) picked[keyword] = value
  }
  return picked
}

/** Whether that is what was picked from another instance; nothing is made to find out. */
export function says(
  attributes: Attributes,
  picked: Readonly<Picked>,
  wanted: LevelAttributes,
): boolean {
  for (const [name, keyword] of wanted) {
    const value = attributes[name]
    if (value !== picked[keyword] && databaseValue(value) !== picked[keyword]) return false
  }
  return true
}

/**
 * More than any of these may have (PS3.5 6.2: a PN three groups of 64), and so little that an index takes
 * it: Postgres refuses a key over 2.7 KB. The file and its metadata keep the whole value. (VA-8)
 */
const longestText = 256

function databaseValue(value: Attributes[keyof Attributes]) {
  if (typeof value === 'string' || value === undefined) return databaseText(value)
  const items = value.map((item) => pickItem(item))
  // The same array as long as nothing has to be changed, so that equal ones are known by that.
  return items.every((item, index) => item === value[index]) ? value : items
}

function pickItem(item: RequestAttributes): RequestAttributes {
  const texts = Object.entries(item) as [keyof RequestAttributes, string][]
  if (texts.every(([, text]) => databaseText(text) === text)) return item
  return Object.fromEntries(
    texts.flatMap(([keyword, text]) => {
      const taken = databaseText(text)
      return taken === undefined ? [] : [[keyword, taken]]
    }),
  )
}

function databaseText(value: string | undefined): string | undefined {
  // Postgres takes no NUL in text; one inside a value is an encoding error of the sender.
  if (value === undefined) return undefined
  const text = value.includes('\0') ? value.replaceAll('\0', '') : value
  if (text === '') return undefined
  if (text.length <= longestText) return text
  // A surrogate without its other half is no text to Postgres.
  const cut = text.slice(0, longestText).replace(/[\uD800-\uDBFF]$/, '')
  // A slice would keep all of a text of 64 KiB alive for as long as the transfer remembers it.
  return Buffer.from(cut, 'utf16le').toString('utf16le')
}

function level(names: (keyof Attributes)[]): LevelAttributes {
  return names.map((name) => [name, name.charAt(0).toUpperCase() + name.slice(1)])
}
