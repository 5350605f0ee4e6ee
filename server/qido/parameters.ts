import { type SearchLevel, searchAttributes, searchLevels } from '../../db/search-attributes.ts'
import type { Condition, InstantRange, ItemKey } from '../../db/search-conditions.ts'
import { parseAttributePath } from './attribute-path.ts'
import { badParameter } from './bad-parameter.ts'
import { type Field, IncludedFields } from './fields.ts'
import { conditionOf, isEmptyValue, isUniversal, type Matching, valuesOf } from './matching.ts'

/** Results in one answer: without `limit`, and at most. */
const defaultLimit = 1000
const maximumLimit = 10_000

export interface Parameters {
  conditions: Condition[]
  limit: number
  offset: number
  /** Attributes of higher levels that were asked for or searched by. (QI-A1, QI-A5) */
  tells: { study: boolean; series: boolean; completeness: boolean }
  /** Attributes that no row holds, but the metadata of an instance. */
  fields: Field[]
  /** What the client asked for and does not get, a sentence each, for the Warning header. */
  warnings: string[]
}

/** Parameters that are no attributes. Those of content negotiation are read elsewhere. */
const words = new Set(['limit', 'offset', 'includefield', 'accept', 'charset'])
const matchings = {
  fuzzymatching: 'fuzzy',
  emptyvaluematching: 'emptyValue',
  multiplevaluematching: 'multipleValue',
} as const

/** Says how values are to be read, and is never matched. (PS3.4 C.2.2.2) */
const specificCharacterSet = '00080005'
const timezoneOffsetFromUTC = '00080201'

/**
 * The parameters of a search. (PS3.18 8.3.4, 10.6.1.2)
 *
 * Matched are the attributes of `searchAttributes`, at their level and below. Another attribute is an error, for to
 * ignore it would widen the result; a word that is no attribute is ignored, with a warning. (QI-P12)
 *
 * @throws {HttpProblem} 400 that names the parameter, never its value
 */
export function parseParameters(level: SearchLevel, query: URLSearchParams): Parameters {
  const given = [...query]
  refuseRepeatedWords(given)
  const matching = readMatching(query)
  const reader = new KeyReader(level, matching)
  for (const [parameter, value] of given) {
    if (!words.has(parameter) && !Object.hasOwn(matchings, parameter)) reader.read(parameter, value)
  }
  reader.fields.include(query.getAll('includefield'))
  return {
    conditions: inZone(withInstants(reader.allConditions()), reader.timezone),
    limit: Math.min(unsigned('limit', query.get('limit') ?? String(defaultLimit)), maximumLimit),
    offset: unsigned('offset', query.get('offset') ?? '0'),
    tells: reader.fields.tells,
    fields: reader.fields.list,
    warnings: [...reader.warnings, ...reader.fields.warnings],
  }
}

/** Reads the keys of a search, one after the other. */
class KeyReader {
  readonly fields: IncludedFields
  readonly warnings: string[] = []
  /** Of the times that are searched for, `+0100`. */
  timezone: string | undefined
  readonly #level: SearchLevel
  readonly #matching: Matching
  readonly #conditions: Condition[] = []
  readonly #item: Record<string, ItemKey> = {}
  readonly #seen = new Set<string>()

  constructor(level: SearchLevel, matching: Matching) {
    this.#level = level
    this.#matching = matching
    this.fields = new IncludedFields(level)
  }

  read(parameter: string, text: string): void {
    const path = parseAttributePath(parameter)
    if (path === 'malformed' || path === 'unknown') {
      const name = /^\w{1,64}$/.test(parameter) ? `The ${parameter} parameter` : 'A parameter'
      this.warnings.push(`${name} is not known and has been ignored`)
      return
    }
    const tag = path.tags.join('.')
    if (this.#seen.has(tag)) throw badParameter(parameter, 'it is given twice')
    this.#seen.add(tag)
    if (text.includes('\0')) throw badParameter(parameter, 'its value has a NUL')
    const value = text.trim()
    if (tag === specificCharacterSet) return
    if (tag === timezoneOffsetFromUTC) {
      this.#readTimezone(parameter, value)
      return
    }
    const attribute = searchAttributes.find((one) => one.tag === tag)
    if (attribute === undefined) {
      if (!isUniversal(value)) throw badParameter(parameter, 'it cannot be matched here')
      this.fields.add(path)
      return
    }
    if (searchLevels.indexOf(attribute.level) > searchLevels.indexOf(this.#level)) {
      throw badParameter(parameter, `it is no attribute of a ${this.#level}`)
    }
    this.fields.add(path)
    if (isUniversal(value)) return
    if (attribute.comparison === 'request') {
      const keyword = attribute.keyword.split('.').at(-1) as string
      this.#item[keyword] = isEmptyValue(value, this.#matching)
        ? null
        : valuesOf(parameter, attribute, value)
    } else if (isEmptyValue(value, this.#matching)) {
      this.#conditions.push({ attribute, isEmpty: true })
    } else {
      const condition = conditionOf(parameter, attribute, value, this.#matching)
      if (condition !== undefined) this.#conditions.push(condition)
    }
  }

  /** Keys of one sequence must match in one and the same item. (PS3.4 C.2.2.2.6) */
  allConditions(): Condition[] {
    const hasItem = Object.keys(this.#item).length > 0
    return hasItem ? [...this.#conditions, { item: this.#item }] : this.#conditions
  }

  #readTimezone(parameter: string, value: string): void {
    if (isUniversal(value)) return
    if (!/^[+-](0\d|1[0-4])[0-5]\d$/.test(value)) {
      throw badParameter(parameter, 'its value is no offset of the form +0100')
    }
    this.timezone = value
  }
}

/** Dates and times are those of a zone, if one is given. (PS3.4 C.2.2.2.5) */
function inZone(conditions: Condition[], offset: string | undefined): Condition[] {
  if (offset === undefined) return conditions
  return conditions.map((condition) => {
    if (!('anyOf' in condition || 'range' in condition || 'instants' in condition)) return condition
    const { attribute } = condition
    const time = searchAttributes.find(
      (one) => one.dateTag !== undefined && (one === attribute || one.dateTag === attribute.tag),
    )
    const date = searchAttributes.find((one) => one.tag === time?.dateTag)
    return time && date ? { ...condition, zone: { date, time, offset } } : condition
  })
}

function readMatching(query: URLSearchParams): Matching {
  const matching: Matching = { fuzzy: false, emptyValue: false, multipleValue: false }
  for (const [parameter, name] of Object.entries(matchings)) {
    const value = query.get(parameter) ?? 'false'
    if (value !== 'true' && value !== 'false') {
      throw badParameter(parameter, 'it is neither true nor false')
    }
    matching[name] = value === 'true'
  }
  return matching
}

/** The same parameter must not occur twice, but for includefield. (QI-P3) */
function refuseRepeatedWords(given: [string, string][]): void {
  const seen = new Set<string>()
  for (const [parameter] of given) {
    const isWord =
      Object.hasOwn(matchings, parameter) || parameter === 'limit' || parameter === 'offset'
    if (isWord && seen.has(parameter)) throw badParameter(parameter, 'it is given twice')
    seen.add(parameter)
  }
}

function unsigned(parameter: string, value: string): number {
  if (!/^\d+$/.test(value)) throw badParameter(parameter, 'its value is no whole number from 0 on')
  return Math.min(Number(value), Number.MAX_SAFE_INTEGER)
}

/**
 * Where the date and the time of something are both ranges, they are one period, from the first time on the first
 * day to the last time on the last day. (PS3.4 C.2.2.2.5, PS3.18 8.3.4.1.1)
 */
function withInstants(conditions: Condition[]): Condition[] {
  const joined: Condition[] = []
  const used = new Set<Condition>()
  for (const time of conditions) {
    if (!('range' in time) || time.attribute.dateTag === undefined) continue
    const date = conditions.find(
      (one) => 'range' in one && one.attribute.tag === time.attribute.dateTag,
    )
    if (date === undefined || !('range' in date)) continue
    const instants: InstantRange = {}
    if (date.range.from !== undefined) {
      instants.from = [date.range.from, time.range.from ?? '000000.000000']
    }
    if (date.range.to !== undefined) instants.to = [date.range.to, time.range.to ?? '235960.999999']
    joined.push({ attribute: time.attribute, date: date.attribute, instants })
    used.add(time).add(date)
  }
  return [...conditions.filter((one) => !used.has(one)), ...joined]
}
