import { Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import {
  listQuietRules,
  type QuietRule,
  reopen,
  replaceQuietRules,
  settleNow,
} from '../../db/stability.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { readJSON } from '../http/read-json.ts'
import { smallBody } from '../http/read-text.ts'

export interface StabilityDeps {
  db: Database
  /** Something may be due now. */
  wake(): void
}

const longestSeconds = 7 * 24 * 3600
/** All that waits is judged by each of them when they change. */
const mostRules = 100
/** Of a study, as the database has them. */
const keywords = [
  'PatientID',
  'IssuerOfPatientID',
  'PatientName',
  'PatientBirthDate',
  'PatientSex',
  'StudyDate',
  'StudyTime',
  'AccessionNumber',
  'StudyID',
  'StudyDescription',
  'ReferringPhysicianName',
]

/** `/api/studies/{study}/settle`, `/reopen`, `/api/quiet-rules`: what an administrator says about stability. */
export function stabilityRoutes({ db, wake }: StabilityDeps): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .use(async (c, next) => {
      await next()
      c.res.headers.set('cache-control', 'no-store')
    })
    .post('/studies/:study/settle', async (c) => {
      mustExist(await settleNow(db, c.req.param('study')))
      wake()
      return c.body(null, 202)
    })
    .post('/studies/:study/reopen', async (c) => {
      mustExist(await reopen(db, c.req.param('study')))
      wake()
      return c.body(null, 202)
    })
    .get('/quiet-rules', async (c) => c.json({ rules: await listQuietRules(db) }))
    .put('/quiet-rules', async (c) => {
      const rules = rulesOf(await readJSON(c.req.raw, smallBody))
      await replaceQuietRules(db, rules)
      wake()
      return c.json({ rules })
    })
}

function mustExist(isFound: boolean): void {
  if (!isFound) throw new HttpProblem(404, 'There is no such study')
}

/** @throws {HttpProblem} 400 */
function rulesOf(body: unknown): QuietRule[] {
  const rules = (body as { rules?: unknown } | undefined)?.rules
  if (!Array.isArray(rules) || rules.length === 0 || rules.length > mostRules) {
    throw problem(`the body is no {"rules":[...]} with 1 to ${mostRules} of them`)
  }
  return rules.map((rule, index) => ruleOf(rule, index + 1, index === rules.length - 1))
}

const conditions = ['sender', 'modality', 'keyword', 'value'] as const

function ruleOf(rule: unknown, number: number, isLast: boolean): QuietRule {
  if (typeof rule !== 'object' || rule === null) throw problem(`rule ${number} is no object`)
  const { quietSeconds, settleWhenComplete, ...rest } = rule as Record<string, unknown>
  if (typeof quietSeconds !== 'number' || !(quietSeconds >= 0 && quietSeconds <= longestSeconds)) {
    throw problem(`"quietSeconds" of rule ${number} is no number from 0 to ${longestSeconds}`)
  }
  if (settleWhenComplete !== undefined && typeof settleWhenComplete !== 'boolean') {
    throw problem(`"settleWhenComplete" of rule ${number} is neither true nor false`)
  }
  for (const [name, value] of Object.entries(rest)) {
    if (!(conditions as readonly string[]).includes(name)) {
      throw problem(`rule ${number} has "${name}", which is none of ${conditions.join(', ')}`)
    }
    if (typeof value !== 'string' || value === '') {
      throw problem(`"${name}" of rule ${number} is no text`)
    }
  }
  if ('keyword' in rest !== 'value' in rest) {
    throw problem(`rule ${number} has only one of "keyword" and "value"`)
  }
  if ('keyword' in rest && !keywords.includes(rest.keyword as string)) {
    throw problem(`"keyword" of rule ${number} is none of ${keywords.join(', ')}`)
  }
  if (isLast && Object.keys(rest).length > 0) {
    throw problem('the last rule has conditions, and there must be one that fits everything')
  }
  return { ...rest, quietSeconds, ...(settleWhenComplete ? { settleWhenComplete } : {}) }
}

function problem(what: string): HttpProblem {
  return new HttpProblem(400, `Cannot set quiet rules: ${what}`)
}
