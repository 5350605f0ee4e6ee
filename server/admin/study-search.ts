import { parseStudyCursor } from '../../db/listing.ts'
import { verdicts } from '../../db/schema.ts'
import {
  commitments,
  deepestOffset,
  type StudyFilter,
  type StudyOrder,
  type StudyPlace,
  studyOrders,
  studyStates,
} from '../../db/study-list.ts'
import { type SearchFields, textFields } from '../../web/pages/study-search.tsx'
import { HttpProblem } from '../http/problem.ts'
import { parseParameters } from '../qido/parameters.ts'

export interface StudySearch {
  fields: SearchFields
  filter: StudyFilter
  order: StudyOrder
  place: StudyPlace
  isFiltered: boolean
  /** What is wrong with it; then it finds nothing. */
  problem?: string
}

const inAddress = [
  'state',
  'sort',
  'ModalitiesInStudy',
  'from',
  'to',
  'verdict',
  'commitment',
  'receivedFrom',
  'receivedTo',
]
const longest = 200
const dayMs = 24 * 3600 * 1000

/** What QIDO has no key for, in the words of the form. */
const beyondQIDO = [
  ['state', 'state'],
  ['verdict', 'completeness'],
  ['commitment', 'commitment'],
  ['receivedFrom', 'received from'],
  ['receivedTo', 'received until'],
] as const

/** What an address asks for. Never more than filters: text is read from a body alone. */
export function searchOfQuery(query: URLSearchParams): StudySearch {
  return searchOf(valuesOf(query, inAddress), query)
}

/** What the form asks for, with the place in its result. */
export function searchOfForm(form: URLSearchParams): StudySearch {
  const names = [...inAddress, ...textFields.map(([name]) => name as string)]
  return searchOf(valuesOf(form, names), new URLSearchParams(form.get('place') ?? ''))
}

function valuesOf(given: URLSearchParams, names: string[]): Record<string, string> {
  const values: Record<string, string> = {}
  for (const name of names) {
    // The last one: a button that was pressed comes after the hidden field of its name.
    const value = given.getAll(name).at(-1)?.trim().slice(0, longest)
    if (value) values[name] = value
  }
  return values
}

function searchOf(values: Record<string, string>, place: URLSearchParams): StudySearch {
  const hasText = textFields.some(([name]) => values[name] !== undefined)
  const order = oneOf(studyOrders, values.sort) ?? 'received'
  const qido = qidoOf(values)
  const fields: SearchFields = {
    values,
    hasText,
    qido: qido.toString(),
    beyondQIDO: beyondQIDO.flatMap(([name, word]) => (values[name] ? [word] : [])),
    query: (changes) => queryOf({ ...values, ...changes }),
  }
  const { sort: _, ...filters } = values
  const isFiltered = Object.keys(filters).length > 0
  const read = { fields, order, place: placeOf(place, order), isFiltered }
  try {
    insistOnOrder('the range of study dates', values.from, values.to)
    insistOnOrder('the range of days of receipt', values.receivedFrom, values.receivedTo)
    const filter: StudyFilter = {
      conditions: parseParameters('study', qido).conditions,
      state: oneOf(studyStates, values.state),
      hasProblems: values.state === 'problems',
      verdict: oneOf(verdicts, values.verdict),
      commitment: oneOf(commitments, values.commitment),
      receivedFrom: dayOf(values.receivedFrom, 0),
      receivedBefore: dayOf(values.receivedTo, dayMs),
    }
    return { ...read, filter }
  } catch (error) {
    if (!(error instanceof HttpProblem)) throw error
    return { ...read, filter: { conditions: [] }, problem: error.message }
  }
}

/**
 * When a day begins, in UTC as the page has all times, or as many ms later.
 * @throws {HttpProblem} 400
 */
function dayOf(date: string | undefined, laterMs: number): Date | undefined {
  if (date === undefined) return undefined
  const day = /^\d{4}-\d{2}-\d{2}$/.test(date) ? new Date(`${date}T00:00:00Z`) : undefined
  // There is no 31 February: it would be another day.
  if (day === undefined || Number.isNaN(day.getTime()) || !day.toISOString().startsWith(date)) {
    throw new HttpProblem(400, 'Cannot search: a day of receipt is written like 2026-03-01')
  }
  return new Date(day.getTime() + laterMs)
}

/** Nothing lies between a day and one before it, and whoever typed that means something else. @throws {HttpProblem} 400 */
function insistOnOrder(what: string, from: string | undefined, to: string | undefined): void {
  if (from === undefined || to === undefined || from <= to) return
  throw new HttpProblem(
    400,
    `Cannot search: ${what} begins on ${from} and ends before it, on ${to}`,
  )
}

/** The same in the words of QIDO. (PS3.18 8.3.4) */
function qidoOf(values: Record<string, string>): URLSearchParams {
  const qido = new URLSearchParams()
  for (const [name] of textFields) {
    const value = values[name]
    if (value === undefined) continue
    const isOpen =
      name === 'PatientName' || name === 'StudyDescription' || name === 'ReferringPhysicianName'
    qido.set(name, isOpen && !/[*?]/.test(value) ? `${value}*` : value)
  }
  if (values.ModalitiesInStudy)
    qido.set('ModalitiesInStudy', values.ModalitiesInStudy.toUpperCase())
  const [from, to] = [values.from, values.to].map((date) => date?.replaceAll('-', '') ?? '')
  if (from || to) qido.set('StudyDate', `${from}-${to}`)
  return qido
}

/** @throws {HttpProblem} 400 */
function placeOf(query: URLSearchParams, order: StudyOrder): StudyPlace {
  if (order !== 'received') {
    const skip = query.get('skip') ?? '0'
    if (/^\d{1,6}$/.test(skip) && Number(skip) <= deepestOffset) return { from: Number(skip) }
    throw noPlace()
  }
  for (const name of ['before', 'after'] as const) {
    const text = query.get(name)
    if (text === null) continue
    const cursor = parseStudyCursor(text)
    if (cursor === undefined) throw noPlace()
    return name === 'before' ? { before: cursor } : { after: cursor }
  }
  return { from: 0 }
}

function noPlace(): HttpProblem {
  return new HttpProblem(400, 'Cannot find this place in the list: begin with the newest')
}

/** For an address: filters that are set, and places. */
function queryOf(values: Record<string, string>): string {
  const query = new URLSearchParams()
  for (const name of [...inAddress, 'before', 'after', 'skip']) {
    const value = values[name]
    if (value && !(name === 'sort' && value === 'received')) query.set(name, value)
  }
  return query.toString()
}

function oneOf<T extends string>(list: readonly T[], value: string | undefined): T | undefined {
  return list.find((one) => one === value)
}
