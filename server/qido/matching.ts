import type { SearchAttribute } from '../../db/search-attributes.ts'
import type { Condition } from '../../db/search-conditions.ts'
import { isUID } from '../dicom/uid.ts'
import { badParameter } from './bad-parameter.ts'
import { parseDateRange, parseTimeRange } from './ranges.ts'

/** Ways to match that a client chooses for the whole search. (PS3.18 8.3.4) */
export interface Matching {
  fuzzy: boolean
  emptyValue: boolean
  multipleValue: boolean
}

/** VRs whose values may have wildcards. (PS3.4 C.2.2.2.4) */
const wildcardVRs = new Set(['AE', 'CS', 'LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UR', 'UT'])

/** Patterns, names or words in one value. Each makes the statement longer, and Postgres keeps statements. */
const maximumPatterns = 20

/** Matches whatever the attribute says, also nothing. (PS3.4 C.2.2.2.3) */
export function isUniversal(value: string): boolean {
  return /^\**$/.test(value)
}

/** A value of two quotation marks matches an attribute without a value. (PS3.4 C.2.2.2.7; QI-P10) */
export function isEmptyValue(value: string, matching: Matching): boolean {
  return matching.emptyValue && value === '""'
}

/**
 * What the value of a key wants of its attribute. (PS3.4 C.2.2.2)
 *
 * @param value Neither universal nor empty, and of no attribute in a sequence.
 * @returns Undefined: it turns out to want nothing.
 * @throws {HttpProblem} 400 that names the parameter
 */
export function conditionOf(
  parameter: string,
  attribute: SearchAttribute,
  value: string,
  matching: Matching,
): Condition | undefined {
  switch (attribute.comparison) {
    case 'date': {
      const range = parseDateRange(parameter, value)
      return typeof range === 'string' ? { attribute, anyOf: [range] } : { attribute, range }
    }
    case 'time': {
      const range = parseTimeRange(parameter, value)
      return typeof range === 'string' ? { attribute, anyOf: [range] } : { attribute, range }
    }
    case 'name':
      return nameCondition(parameter, attribute, value, matching)
    case 'modality': {
      const values = valuesOf(parameter, attribute, value)
      if (matching.multipleValue) refuseTooMany(parameter, values)
      return matching.multipleValue ? { attribute, allOf: values } : { attribute, anyOf: values }
    }
    default:
      return { attribute, anyOf: valuesOf(parameter, attribute, value) }
  }
}

/**
 * One value, or a list of which one has to match: with commas where these can be in no value (UI, CS and numbers), with
 * backslashes, which are between values everywhere.
 */
export function valuesOf(parameter: string, { vr, comparison }: SearchAttribute, value: string) {
  const hasCommas = comparison !== 'text' && comparison !== 'request' && comparison !== 'name'
  const values = value.split(hasCommas ? /[,\\]/ : '\\').map((one) => one.trim())
  refuseTooMany(
    parameter,
    values.filter((one) => /[*?]/.test(one)),
  )
  return values.map((one) => {
    if (vr === 'UI' && !isUID(one)) throw badParameter(parameter, 'its value is no UID')
    if (one === '') throw badParameter(parameter, 'its list has an empty value')
    if (vr === 'IS' || vr === 'US') return usualForm(parameter, one)
    if (/[*?]/.test(one) && !wildcardVRs.has(vr)) {
      throw badParameter(parameter, 'it takes no wildcards')
    }
    return one
  })
}

/** Zeros before a number and a plus sign say nothing. */
function usualForm(parameter: string, value: string): string {
  if (!/^[+-]?\d{1,12}$/.test(value)) throw badParameter(parameter, 'its value is no number')
  return String(Number(value))
}

function nameCondition(
  parameter: string,
  attribute: SearchAttribute,
  value: string,
  { fuzzy }: Matching,
): Condition | undefined {
  const separator = fuzzy ? /[\\^=\s,.*-]+/ : '\\'
  const words = value.split(separator).filter((word) => word !== '')
  refuseTooMany(parameter, words)
  if (words.length === 0) return undefined
  return fuzzy ? { attribute, words } : { attribute, anyOf: words }
}

function refuseTooMany(parameter: string, patterns: string[]): void {
  if (patterns.length > maximumPatterns) {
    throw badParameter(
      parameter,
      `it has more than ${maximumPatterns} names, words, wildcards or values`,
    )
  }
}
