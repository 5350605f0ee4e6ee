import type { PendingQuery, Row } from 'postgres'
import type { Database } from './database.ts'
import type { SearchAttribute } from './search-attributes.ts'

/** A piece of SQL with its parameters. */
export type Fragment = PendingQuery<Row[]>

/** What a search wants of one attribute. (PS3.4 C.2.2.2) */
export type Condition =
  /** One of these values; those with wildcards are patterns. */
  | { attribute: SearchAttribute; anyOf: string[]; zone?: Zone | undefined }
  /** Each of these values is among those that there are. (C.2.2.2.8) */
  | { attribute: SearchAttribute; allOf: string[] }
  /** A person's name; several words in any order, each the beginning of one of the name's. */
  | { attribute: SearchAttribute; words: string[] }
  /** From, to, or both, each included; of a time in the form of time_key. */
  | { attribute: SearchAttribute; range: Range; zone?: Zone | undefined }
  /** Date and time together are one instant. (C.2.2.2.5) */
  | {
      attribute: SearchAttribute
      date: SearchAttribute
      instants: InstantRange
      zone?: Zone | undefined
    }
  /** No value. (C.2.2.2.7) */
  | { attribute: SearchAttribute; isEmpty: true }
  /** Members of one and the same item of Request Attributes Sequence, by keyword. (C.2.2.2.6) */
  | { item: Record<string, ItemKey> }

/** One of these values, with wildcards; null: no value. */
export type ItemKey = string[] | null

/** The zone of the times that are searched for: of which date and time, and its offset, `+0100`. (0008,0201) */
export interface Zone {
  date: SearchAttribute
  time: SearchAttribute
  offset: string
}

export interface Range {
  from?: string | undefined
  to?: string | undefined
}

/** Dates with the time of day at which the period begins or ends. */
export interface InstantRange {
  from?: [date: string, time: string] | undefined
  to?: [date: string, time: string] | undefined
}

/** SQL of a condition, on the aliases t, e and i. */
export function conditionSql(sql: Database['sql'], condition: Condition): Fragment {
  if ('item' in condition) return itemSql(sql, condition.item)
  const { attribute } = condition
  if ('zone' in condition && condition.zone) return zonedSql(sql, condition, condition.zone)
  const column = constant(sql, attribute.key ?? attribute.column)
  if ('isEmpty' in condition) return emptySql(sql, attribute)
  if ('words' in condition) return all(sql, condition.words, (word) => wordSql(sql, column, word))
  if ('range' in condition) return rangeSql(sql, column, condition.range)
  if ('instants' in condition) {
    return instantsSql(sql, constant(sql, condition.date.column), column, condition.instants)
  }
  if ('allOf' in condition) {
    return all(sql, condition.allOf, (value) => anyOfSql(sql, attribute, [value]))
  }
  return anyOfSql(sql, attribute, condition.anyOf)
}

function emptySql(sql: Database['sql'], { comparison, column, key }: SearchAttribute): Fragment {
  const stored = constant(sql, column)
  if (comparison === 'modality') return sql`${stored} = '{}'`
  const compared = sql`${constant(sql, key ?? column)} is null`
  // What is no integer is a value all the same; the key is there for its index.
  return comparison === 'integer' ? sql`(${compared} and ${stored} is null)` : compared
}

/** SQL that is written in the code, never what somebody sent. */
export function constant(sql: Database['sql'], text: string): Fragment {
  return sql.unsafe<Row[]>(text)
}

/** All of them hold. */
export function all<T>(
  sql: Database['sql'],
  list: readonly T[],
  toSql: (one: T) => Fragment,
): Fragment {
  if (list.length === 0) return sql`true`
  return list.map(toSql).reduce((whole, one) => sql`${whole} and ${one}`)
}

function anyOfSql(sql: Database['sql'], attribute: SearchAttribute, values: string[]): Fragment {
  const column = constant(sql, attribute.key ?? attribute.column)
  switch (attribute.comparison) {
    case 'name':
      return any(sql, values, (value) => nameSql(sql, attribute.key as string, value))
    case 'modality':
      return sql`exists (
        select from series m
        where m.study_key = t.study_key
        and ${textSql(sql, sql`m.modality`, values)})`
    case 'number':
    case 'integer':
      return sql`${column} = any(${values.map(Number)}::bigint[])`
    case 'text':
    case 'code':
      return textSql(sql, column, values)
    default:
      return equalSql(sql, column, values)
  }
}

function any<T>(sql: Database['sql'], list: readonly T[], toSql: (one: T) => Fragment): Fragment {
  return sql`(${list.map(toSql).reduce((whole, one) => sql`${whole} or ${one}`)})`
}

function equalSql(sql: Database['sql'], column: Fragment, values: string[]): Fragment {
  return values.length === 1
    ? sql`${column} = ${values[0] as string}`
    : sql`${column} = any(${values}::text[])`
}

function textSql(sql: Database['sql'], column: Fragment, values: string[]): Fragment {
  const plain = values.filter((value) => !hasWildcard(value))
  const patterns = values.filter(hasWildcard)
  if (patterns.length === 0) return equalSql(sql, column, plain)
  const likes = any(sql, patterns, (value) => sql`${column} like like_pattern(${value})`)
  return plain.length === 0 ? likes : sql`(${equalSql(sql, column, plain)} or ${likes})`
}

function hasWildcard(value: string): boolean {
  return /[*?]/.test(value)
}

/**
 * A name matches by its first group, up to where that ends, or by one of the others; a value that has groups itself by
 * each that it gives. Small and capital letters, marks, spaces around components, and empty components at the end
 * make no difference. (person_name_key)
 */
function nameSql(sql: Database['sql'], key: string, value: string): Fragment {
  const column = constant(sql, key)
  if (!value.includes('=')) {
    return any(sql, [0, 1, 2], (group) => groupSql(sql, column, group, value))
  }
  const given = value
    .split('=')
    .slice(0, 3)
    .map((text, group) => ({ text, group }))
    .filter(({ text }) => !/^\**$/.test(text))
  return sql`(${all(sql, given, ({ text, group }) => groupSql(sql, column, group, text))})`
}

function groupSql(sql: Database['sql'], column: Fragment, group: number, value: string): Fragment {
  const pattern = (text: string) => sql`like_pattern(person_name_key(${text}))`
  if (group > 0) {
    const own = sql`split_part(${column}, '=', ${constant(sql, String(group + 1))})`
    return sql`(${column} like '%=%' and ${any(sql, namesOf(value), (name) => sql`${own} like ${pattern(name)}`)})`
  }
  return any(sql, namesOf(value), (name) =>
    name.endsWith('*')
      ? sql`${column} like ${pattern(name)}`
      : sql`(${column} like ${pattern(name)} or ${column} like ${pattern(name)} || '=%')`,
  )
}

/**
 * Asterisks match nothing, too, and empty components at the end make no difference: `Doe^*` is all that begins so, or
 * `Doe`. `Doe*^*` is no more than `Doe*`.
 */
function namesOf(value: string): string[] {
  const components = value.split('^').map((component) => component.trim())
  const isOpen = (component: string) => /^\**$/.test(component)
  let length = components.length
  while (length > 1 && isOpen(components[length - 1] as string)) length--
  const least = components.slice(0, length).join('^')
  const asterisk = components.findIndex((component, index) => index >= length && component !== '')
  if (asterisk < 0 || least.endsWith('*')) return [least]
  const open = components.slice(0, asterisk + 1).join('^')
  return least === '' ? [open] : [open, least]
}

function wordSql(sql: Database['sql'], column: Fragment, word: string): Fragment {
  return sql`' ' || translate(${column}, '^=,.-', '     ') like '% ' || like_pattern(person_name_key(${word})) || '%'`
}

function rangeSql(sql: Database['sql'], column: Fragment, { from, to }: Range): Fragment {
  if (to === undefined) return sql`${column} >= ${from as string}`
  if (from === undefined) return sql`${column} <= ${to}`
  return sql`${column} between ${from} and ${to}`
}

function instantsSql(
  sql: Database['sql'],
  date: Fragment,
  time: Fragment,
  { from, to }: InstantRange,
): Fragment {
  const after = from && sql`(${date}, ${time}) >= (${from[0]}, ${from[1]})`
  const before = to && sql`(${date}, ${time}) <= (${to[0]}, ${to[1]})`
  if (after && before) return sql`(${after} and ${before})`
  return (after ?? before) as Fragment
}

/** What is stored is moved into the zone that is asked for, and compared there. */
function zonedSql(
  sql: Database['sql'],
  condition: Exclude<Condition, { item: unknown }>,
  { date, time, offset }: Zone,
): Fragment {
  const day = constant(sql, date.column)
  const zoned = sql`in_zone(${day}, ${constant(sql, time.key as string)}, t.timezone_offset_from_utc, ${offset})`
  if ('instants' in condition) {
    const { from, to } = condition.instants
    const range = { from: from?.join(''), to: to?.join('') }
    return sql`${nearSql(sql, day, { from: from?.[0], to: to?.[0] })} and ${rangeSql(sql, zoned, range)}`
  }
  const isDate = condition.attribute === date
  const part = isDate ? sql`left(${zoned}, 8)` : sql`substr(${zoned}, 9)`
  if ('range' in condition) {
    const near = isDate ? nearSql(sql, day, condition.range) : sql`true`
    return sql`${near} and ${rangeSql(sql, part, condition.range)}`
  }
  const values = 'anyOf' in condition ? condition.anyOf : []
  const [from, to] = [values.toSorted()[0], values.toSorted().at(-1)]
  const near = isDate ? nearSql(sql, day, { from, to }) : sql`true`
  return sql`${near} and ${equalSql(sql, part, values)}`
}

/** For the index: zones are not more than two days apart. */
function nearSql(sql: Database['sql'], day: Fragment, { from, to }: Range): Fragment {
  return rangeSql(sql, day, { from: from && daysFrom(from, -2), to: to && daysFrom(to, 2) })
}

function daysFrom(day: string, count: number): string {
  const [year, month, date] = [day.slice(0, 4), day.slice(4, 6), day.slice(6, 8)].map(Number)
  const moved = new Date(Date.UTC(year as number, (month as number) - 1, (date as number) + count))
  return moved.toISOString().slice(0, 10).replaceAll('-', '')
}

function itemSql(sql: Database['sql'], item: Record<string, ItemKey>): Fragment {
  const keys = Object.entries(item)
  const column = sql`e.request_attributes_sequence`
  const plain = keys.filter(
    ([, values]) => values?.length === 1 && !hasWildcard(values[0] as string),
  )
  const wanted = Object.fromEntries(plain.map(([keyword, values]) => [keyword, values?.[0]]))
  // By an index, as far as there is something to look up.
  const contains = sql`${column} @> ${JSON.stringify([wanted])}::text::jsonb`
  if (plain.length === keys.length) return contains
  const memberSql = ([keyword, values]: [string, ItemKey]) => {
    const member = sql`(x.item ->> ${keyword}::text)`
    return values === null ? sql`${member} is null` : textSql(sql, member, values)
  }
  const exists = sql`exists (
    select from jsonb_array_elements(${column}) x (item)
    where ${all(sql, keys, memberSql)})`
  return plain.length === 0 ? exists : sql`${contains} and ${exists}`
}
