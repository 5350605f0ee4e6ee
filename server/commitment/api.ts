import { Hono } from 'hono'
import {
  type Commitment,
  findCommitment,
  listCommitments,
  referencesOfCommitment,
  studiesOfCommitment,
} from '../../db/commitments.ts'
import type { Database } from '../../db/database.ts'
import { type CommitmentState, commitmentStates } from '../../db/schema.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'

const listedByDefault = 50
const listedAtMost = 1000
/** The first of what belongs to one request: more are in its result. */
const namedStudies = 1000
const namedFailures = 1000

/** `/api/commitments`: who asked for storage commitment, and what became of it. */
export function commitmentApiRoutes({ db }: { db: Database }): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get('/commitments', async (c) => {
      c.header('cache-control', 'no-store')
      const found = await listCommitments(db, {
        limit: Math.min(
          wholeNumber(c.req.query('limit'), 'limit') ?? listedByDefault,
          listedAtMost,
        ),
        before: wholeNumber(c.req.query('before'), 'before'),
        states: statesOf(c.req.query('state')),
        studyInstanceUID: c.req.query('studyInstanceUID'),
      })
      return c.json({ commitments: found.map(toJSON) })
    })
    .get('/commitments/:transaction', async (c) => {
      c.header('cache-control', 'no-store')
      const uid = c.req.param('transaction')
      const found = isUID(uid) ? await findCommitment(db, uid) : undefined
      if (found === undefined) {
        throw new HttpProblem(404, 'There is no commitment request with this Transaction UID')
      }
      const failures = found.state === 'finished' ? await failuresOf(db, found.commitmentKey) : []
      const studies = await studiesOfCommitment(db, found.commitmentKey, namedStudies)
      return c.json({ ...toJSON(found), studies, failures })
    })
}

async function failuresOf(db: Database, commitmentKey: number): Promise<object[]> {
  const failures: object[] = []
  for await (const one of referencesOfCommitment(db, commitmentKey, 'failed')) {
    if (failures.length === namedFailures) break
    const { position, ...named } = one
    const reason = one.failureReason as number
    failures.push({
      ...present(named),
      failureReasonHex: reason.toString(16).toUpperCase().padStart(4, '0'),
      detail: meanings[reason],
    })
  }
  return failures
}

/** PS3.3 C.14.1.1, in our words. */
const meanings: Record<number, string> = {
  272: 'Its bytes could not be read, or are not what they were when they came',
  274: 'There is no such instance here (any more), or not in this study and series',
  281: 'This instance is stored with another SOP Class UID',
  290: 'Instances of this SOP class are never stored',
}

function toJSON({ commitmentKey, transactionUID, state, form, ...rest }: Commitment) {
  return { transactionUID, state, form, ...present(rest), cursor: commitmentKey }
}

function present(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null))
}

function wholeNumber(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new HttpProblem(400, `Cannot list commitments: "${name}" is no whole number above 0`)
}

function statesOf(text: string | undefined): CommitmentState[] | undefined {
  const asked = text?.split(',')
  if (asked === undefined) return undefined
  const known = commitmentStates.filter((state) => asked.includes(state))
  if (known.length === new Set(asked).size) return known
  throw new HttpProblem(
    400,
    `Cannot list commitments: "state" is none of ${commitmentStates.join(', ')}, or several with commas`,
  )
}
