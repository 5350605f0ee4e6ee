import { type SearchLevel, searchAttributes, searchLevels } from '../../db/search-attributes.ts'
import { levelOfAttribute } from './attribute-levels.ts'
import { type AttributePath, parseAttributePath } from './attribute-path.ts'
import { badParameter } from './bad-parameter.ts'

/** An attribute that no row holds: its tags, from the outermost sequence to itself. */
export type Field = readonly string[]

/** Attributes in one request that are read from metadata. */
const maximumFields = 200

/** No keyword of PS3.6: whether a study or series is whole, in private attributes. */
const completeness = 'StowageCompleteness'

/** Every answer has them anyway. */
const alwaysTold = new Set(['00080056', '00080201', '00081190'])

/** Its items are told with what is required of them beside what is asked for. (PS3.18 Table 10.6.3-4) */
export const requestAttributesSequence = '00400275'
export const requestAttributes = ['00400009', '00401001']

/**
 * What a search is to tell beyond the attributes of its level. (PS3.18 8.3.4.3; QI-P6, QI-A1 to QI-A6)
 *
 * Attributes of a lower level are left out without a word, as PS3.18 wants it. (QI-A3)
 */
export class IncludedFields {
  /** Higher levels of which something was asked for: all that their rows hold is told. */
  readonly tells = { study: false, series: false, completeness: false }
  readonly warnings: string[] = []
  readonly #level: SearchLevel
  readonly #fields = new Map<string, Field>()

  constructor(level: SearchLevel) {
    this.#level = level
  }

  get list(): Field[] {
    return [...this.#fields.values()]
  }

  /** @param values Of all includefield parameters. @throws {HttpProblem} 400 */
  include(values: string[]): void {
    const names = values.flatMap((value) => value.split(',')).map((name) => name.trim())
    if (names.includes('all')) {
      if (names.length > 1) throw badParameter('includefield', '"all" must stand alone')
      this.tells.study = true
      this.tells.series = true
      return
    }
    for (const name of names) {
      if (name === completeness && this.#level !== 'instance') {
        this.tells.completeness = true
        continue
      }
      const path = parseAttributePath(name)
      if (path === 'malformed') throw badParameter('includefield', 'it names no attribute')
      if (path === 'unknown') {
        this.warnings.push(`The attribute ${name} is not known and has not been included`)
      } else this.add(path)
    }
  }

  add({ tags }: AttributePath): void {
    const [first] = tags as [string]
    const held = searchAttributes.find(({ tag }) => tag === tags.join('.'))
    const level = held?.level ?? levelOfAttribute(first)
    if (alwaysTold.has(first) || searchLevels.indexOf(level) > searchLevels.indexOf(this.#level)) {
      return
    }
    if (held !== undefined) {
      if (level !== 'instance') this.tells[level] = true
      return
    }
    this.#fields.set(tags.join('.'), tags)
    if (first === requestAttributesSequence && tags.length > 1) {
      for (const tag of requestAttributes) this.#fields.set(`${first}.${tag}`, [first, tag])
    }
    if (this.#fields.size > maximumFields) {
      throw badParameter('includefield', `it names more than ${maximumFields} attributes`)
    }
  }
}
