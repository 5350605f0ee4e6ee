import { integerOf } from './integer-of.ts'
import { type SearchAttribute, type SearchLevel, searchAttributes } from './search-attributes.ts'

/** Whether a series or an instance tells what its study says, and an instance what its series says. */
export interface Told {
  study: boolean
  series: boolean
  /** Of a study or series, whether it is whole. */
  completeness?: boolean
}

/**
 * SQL of the result of one row, in the DICOM JSON model (PS3.18 Annex F), keys ascending (JS-01), as text.
 *
 * Postgres writes it: a page of 50 studies costs the server that answers a tenth of what it takes to make objects of
 * the columns, and those to text.
 *
 * @param studiesURL SQL of `https://…/dicom-web/studies`, as it stands in a JSON string.
 */
export function resultJson(level: SearchLevel, told: Told): string {
  const shape = `${level} ${told.study} ${told.series} ${told.completeness}`
  const known = made.get(shape)
  if (known !== undefined) return known
  const json = makeResultJson(level, told)
  made.set(shape, json)
  return json
}

const made = new Map<string, string>()

function makeResultJson(level: SearchLevel, told: Told): string {
  const members = new Map<string, Piece[]>()
  for (const attribute of searchAttributes) {
    if (attribute.comparison === 'request' || !isTold(attribute, level, told)) continue
    members.set(attribute.tag, memberOf(attribute))
  }
  members.set('00080056', [literal(`,"00080056":{"vr":"CS","Value":["ONLINE"]}`)])
  members.set('00080201', optionalMember('00080201', 'SH', quoted('t.timezone_offset_from_utc')))
  members.set('00081190', retrieveURL(level))
  if (level === 'series' || (level === 'instance' && told.series)) {
    members.set('00400275', optionalMember('00400275', 'SQ', requestItems))
  }
  if (told.completeness && level !== 'instance') {
    for (const [tag, member] of completeness(level === 'study' ? 't' : 'e'))
      members.set(tag, member)
  }
  const pieces = [...members.keys()].sort().flatMap((tag) => members.get(tag) as Piece[])
  // Every member begins with its comma, and the first one, which is always there, with the brace instead.
  const [first, ...others] = pieces as [{ text: string }, ...Piece[]]
  return `concat(${joined([literal(`{${first.text.slice(1)}`), ...others, literal('}')])})`
}

/** SQL of text, constant or not. A null adds nothing. */
type Piece = { text: string } | { sql: string }

function isTold({ level: of, tag }: SearchAttribute, level: SearchLevel, told: Told): boolean {
  if (of === level || tag === '0020000D' || (tag === '0020000E' && level !== 'study')) return true
  if (of === 'study') return told.study && level !== 'study'
  return of === 'series' && level === 'instance' && told.series
}

function memberOf({ tag, vr, comparison, column, isOptional }: SearchAttribute): Piece[] {
  if (comparison === 'modality') return modalities(tag, vr, column)
  const value = valueSql(vr, comparison, column)
  if (isOptional) return optionalMember(tag, vr, value)
  return [
    literal(`,"${tag}":{"vr":"${vr}"`),
    { sql: `',"Value":[' || ${value} || ']'` },
    literal('}'),
  ]
}

function optionalMember(tag: string, vr: string, value: string): Piece[] {
  return [{ sql: `',"${tag}":{"vr":"${vr}","Value":[' || ${value} || ']}'` }]
}

function valueSql(vr: string, comparison: SearchAttribute['comparison'], column: string): string {
  if (comparison === 'number') return column
  if (comparison === 'uid') return `'"' || ${column} || '"'`
  // The standard wants one, but what came may have several. (JS-19)
  return `case when strpos(${column}, '\\') > 0 then several_values('${vr}', ${column}) else ${oneValue(vr, column)} end`
}

function oneValue(vr: string, column: string): string {
  if (vr === 'PN') return personName(column)
  // A number where it is one, else as it is. (JS-14)
  if (vr === 'IS') return `coalesce((${integerOf(column)})::text, ${quoted(column)})`
  return quoted(column)
}

function quoted(column: string): string {
  return `to_json(${column})::text`
}

const groups = ['Alphabetic', 'Ideographic', 'Phonetic'] as const

/** The groups that are not empty (JS-07); null where all are (JS-04). */
function personName(column: string): string {
  const members = groups.map(
    (group, index) =>
      `'"${group}":' || to_json(nullif(split_part(${column}, '=', ${index + 1}), ''))::text`,
  )
  return `case when strpos(${column}, '=') > 0
    then nullif('{' || concat_ws(',', ${members.join(', ')}) || '}', '{}')
    else '{"Alphabetic":' || ${quoted(column)} || '}' end`
}

function modalities(tag: string, vr: string, column: string): Piece[] {
  const list = `case when strpos(array_to_string(${column}, ''), '\\') > 0 then single_modalities(${column}) else ${column} end`
  return [
    literal(`,"${tag}":{"vr":"${vr}"`),
    { sql: `',"Value":' || array_to_json(nullif(${list}, '{}'))::text` },
    literal('}'),
  ]
}

/** An attribute that an item does not have is there all the same, empty. (Table 10.6.3-4) */
const requestItems = `case when e.request_attributes_sequence is not null then (
    select string_agg(concat(
      '{"00400009":{"vr":"SH"', ',"Value":[' || (item -> 'ScheduledProcedureStepID')::text || ']',
      '},"00401001":{"vr":"SH"', ',"Value":[' || (item -> 'RequestedProcedureID')::text || ']', '}}'
    ), ',' order by place)
    from jsonb_array_elements(e.request_attributes_sequence) with ordinality x (item, place)
  ) end`

/** Private attributes, in a block that no product is known to use. (PS3.5 7.8.1; docs/conformance.md) */
function completeness(row: string): [string, Piece[]][] {
  return [
    ['710100F0', [literal(`,"710100F0":{"vr":"LO","Value":["STOWAGE 1.0"]}`)]],
    ['7101F001', optionalMember('7101F001', 'CS', `'"' || upper(${row}.verdict) || '"'`)],
    ['7101F002', optionalMember('7101F002', 'IS', `${row}.expected_instance_count::text`)],
  ]
}

function retrieveURL(level: SearchLevel): Piece[] {
  const pieces: Piece[] = [
    literal(`,"00081190":{"vr":"UR","Value":["`),
    { sql: 'base.url' },
    literal('/'),
    { sql: 't.study_instance_uid' },
  ]
  if (level !== 'study') pieces.push(literal('/series/'), { sql: 'e.series_instance_uid' })
  if (level === 'instance') pieces.push(literal('/instances/'), { sql: 'i.sop_instance_uid' })
  return [...pieces, literal('"]}')]
}

function literal(text: string): Piece {
  return { text }
}

/** Constants that stand side by side become one. */
function joined(pieces: Piece[]): string {
  const list: string[] = []
  let text = ''
  for (const piece of pieces) {
    if ('text' in piece) {
      text += piece.text
      continue
    }
    if (text !== '') list.push(`'${text}'`)
    text = ''
    list.push(piece.sql)
  }
  if (text !== '') list.push(`'${text}'`)
  // A function takes 100 arguments at most.
  const parts: string[] = []
  for (let at = 0; at < list.length; at += 90) {
    parts.push(`concat(${list.slice(at, at + 90).join(', ')})`)
  }
  return parts.join(', ')
}
