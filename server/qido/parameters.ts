import type { Page, SearchKeys } from '../../db/instances.ts'
import { isUID } from '../dicom/uid.ts'
import { fault } from '../dicom/value-syntax.ts'
import { HttpProblem } from '../http/problem.ts'

export type Level = 'study' | 'series' | 'instance'

/** Results in one answer: without `limit`, and at most. */
const defaultLimit = 1000
const maximumLimit = 10_000

/** Attributes that may be matched, by keyword and tag, and the lowest level that has them. */
const keys = [
  { keyword: 'PatientID', tag: '00100020', name: 'patientID', level: 'study' },
  { keyword: 'StudyDate', tag: '00080020', name: 'studyDate', level: 'study' },
  { keyword: 'StudyInstanceUID', tag: '0020000D', name: 'studyInstanceUID', level: 'study' },
  { keyword: 'SeriesInstanceUID', tag: '0020000E', name: 'seriesInstanceUID', level: 'series' },
  { keyword: 'SOPInstanceUID', tag: '00080018', name: 'sopInstanceUID', level: 'instance' },
] as const

const levels: Level[] = ['study', 'series', 'instance']
/** Ways to match that a client may ask for, and does not get. (QI-P9 to QI-P11) */
const furtherMatching = new Set(['fuzzymatching', 'emptyvaluematching', 'multiplevaluematching'])

export interface Search {
  keys: SearchKeys
  page: Page
  /** What the client asked for and does not get, a sentence each, for the Warning header. (QI-S4) */
  warnings: string[]
}

/**
 * The parameters of a search. (PS3.18 8.3.4, 10.6.1.2)
 *
 * Matched exactly: Patient ID, Study Date and the UIDs (these also as lists). A key that is an attribute, but
 * not one of these, is an error, for ignoring it would widen the result (QI-P12); so are wildcards and ranges,
 * which are not matched yet. An unknown word is ignored (PS3.18 8.3).
 *
 * @throws {HttpProblem} 400 that names the parameter, never its value
 */
export function parseSearch(level: Level, query: URLSearchParams): Search {
  const search: Search = { keys: {}, page: { limit: defaultLimit, offset: 0 }, warnings: [] }
  const seen = new Set<string>()
  for (const [parameter, value] of query) {
    if (parameter === 'limit')
      search.page.limit = Math.min(unsigned(parameter, value), maximumLimit)
    else if (parameter === 'offset') search.page.offset = unsigned(parameter, value)
    else if (furtherMatching.has(parameter)) readFurtherMatching(parameter, value, search)
    else {
      readKey(level, parameter, value, search, seen)
      continue
    }
    once(parameter, parameter, seen)
  }
  return search
}

function readFurtherMatching(parameter: string, value: string, search: Search): void {
  if (value !== 'true' && value !== 'false') throw bad(parameter, 'it is neither true nor false')
  if (value === 'false') return
  search.warnings.push(
    `The ${parameter} parameter is not supported. Only literal matching has been performed.`,
  )
}

function readKey(
  level: Level,
  parameter: string,
  value: string,
  search: Search,
  seen: Set<string>,
): void {
  const key = keys.find((k) => k.keyword === parameter || k.tag === parameter.toUpperCase())
  if (key === undefined) {
    if (!/^[0-9A-Fa-f]{8}(\.|$)|^[A-Z][A-Za-z]+(\.|$)/.test(parameter)) return
    throw bad(parameter, 'it cannot be matched here')
  }
  if (levels.indexOf(key.level) > levels.indexOf(level)) {
    throw bad(parameter, `it is no attribute of a ${level}`)
  }
  once(parameter, key.tag, seen)
  if (value.includes('\0')) throw bad(parameter, 'its value has a NUL')
  // Universal matching: whatever the attribute says, and if it says nothing.
  if (value === '' || /^\*+$/.test(value)) return
  if (key.name === 'patientID') search.keys.patientID = literal(parameter, value)
  else if (key.name === 'studyDate') search.keys.studyDate = date(parameter, value)
  else search.keys[key.name] = value.split(/[,\\]/).map((uid) => validUID(parameter, uid))
}

function validUID(parameter: string, value: string): string {
  if (!isUID(value)) throw bad(parameter, 'its value is no UID')
  return value
}

function literal(parameter: string, value: string): string {
  if (/[*?]/.test(value)) throw bad(parameter, 'wildcards are not matched here')
  return value
}

function date(parameter: string, value: string): string {
  if (fault('date', value) !== undefined) {
    throw bad(parameter, 'its value is no date of the form YYYYMMDD')
  }
  return value
}

function unsigned(parameter: string, value: string): number {
  if (!/^\d+$/.test(value)) throw bad(parameter, 'its value is no whole number from 0 on')
  return Math.min(Number(value), Number.MAX_SAFE_INTEGER)
}

/** The same attribute must not occur twice. (QI-P3) */
function once(parameter: string, name: string, seen: Set<string>): void {
  if (seen.has(name)) throw bad(parameter, 'it is given twice')
  seen.add(name)
}

function bad(parameter: string, reason: string): HttpProblem {
  const name = /^[\w.]{1,64}$/.test(parameter) ? `"${parameter}"` : 'a parameter'
  return new HttpProblem(400, `Cannot search by ${name}: ${reason}`)
}
