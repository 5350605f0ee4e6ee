import type { Claim } from '../../db/evidence.ts'
import { isUID } from '../dicom/uid.ts'
import { HttpProblem } from '../http/problem.ts'

const mostInstances = 2 ** 31 - 1
const mostNamed = 200_000
const mostSeries = 10_000

/**
 * Reads what a sender declares: `{"instanceCount":240}`, `{"sopInstanceUIDs":["1.2"]}`, or
 * `{"series":[{"seriesInstanceUID":"1.2","instanceCount":24}]}`, whose series are all there are.
 *
 * @throws {HttpProblem} 400, naming the member
 */
export function readDeclaration(body: unknown): Claim[] {
  const [name, value] = onlyMember(body, ['instanceCount', 'sopInstanceUIDs', 'series'], 'the body')
  if (name !== 'series') return [claimOf(name, value, '')]
  if (!Array.isArray(value) || value.length === 0 || value.length > mostSeries) {
    throw problem(`"series" is no list of 1 to ${mostSeries} of them`)
  }
  const claims = value.map((one: unknown, index) => {
    const what = `series ${index + 1}`
    const { seriesInstanceUID, ...rest } = { ...(one as Record<string, unknown> | null) }
    if (typeof seriesInstanceUID !== 'string' || !isUID(seriesInstanceUID)) {
      throw problem(`"seriesInstanceUID" of ${what} is no UID`)
    }
    const [member, said] = onlyMember(rest, ['instanceCount', 'sopInstanceUIDs'], what)
    return {
      ...claimOf(member, said, ` of ${what}`),
      seriesInstanceUID,
    }
  })
  if (new Set(claims.map((claim) => claim.seriesInstanceUID)).size < claims.length) {
    throw problem('"series" names one of them twice')
  }
  const total = claims.reduce((sum, claim) => sum + (claim.instanceCount ?? 0), 0)
  if (total > mostInstances) throw problem(`the series have more than ${mostInstances} instances`)
  return [{ instanceCount: total }, ...claims]
}

function claimOf(name: string, value: unknown, of: string): Claim {
  if (name === 'instanceCount') {
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > mostInstances) {
      throw problem(`"instanceCount"${of} is no whole number from 0 to ${mostInstances}`)
    }
    return { instanceCount: value as number }
  }
  if (!Array.isArray(value) || value.length > mostNamed) {
    throw problem(`"sopInstanceUIDs"${of} is no list of at most ${mostNamed} UIDs`)
  }
  const wrong = value.findIndex((uid) => typeof uid !== 'string' || !isUID(uid))
  if (wrong >= 0) throw problem(`"sopInstanceUIDs"${of} has no UID at place ${wrong + 1}`)
  const sopInstanceUIDs = [...new Set(value as string[])]
  return { instanceCount: sopInstanceUIDs.length, sopInstanceUIDs }
}

function onlyMember(value: unknown, names: string[], what: string): [string, unknown] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw problem(`${what} is no JSON object`)
  }
  const [first, ...others] = Object.entries(value)
  if (first === undefined || others.length > 0 || !names.includes(first[0])) {
    const quoted = names.map((name) => `"${name}"`).join(', ')
    throw problem(`${what} does not have exactly one of ${quoted}`)
  }
  return first
}

function problem(what: string): HttpProblem {
  return new HttpProblem(400, `Cannot take the declaration: ${what}`)
}
