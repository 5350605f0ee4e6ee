import type { AuditFilter } from '../../db/audit.ts'
import { type AuditAction, auditActions } from '../../db/schema.ts'
import { isUID } from '../dicom/uid.ts'
import { HttpProblem } from '../http/problem.ts'

/**
 * Reads `action` (several with commas), `actor`, `source`, `study`, `from` and `until`: instants, or dates of UTC, where
 * `until` means the end of the day. What is empty is as if it were not there, as forms send it.
 *
 * @throws {HttpProblem} 400, naming the parameter
 */
export function readFilter(query: URLSearchParams): AuditFilter {
  const text = (name: string) => query.get(name)?.trim() || undefined
  const studyInstanceUID = text('study')
  if (studyInstanceUID !== undefined && !isUID(studyInstanceUID)) throw problem('study', 'no UID')
  return {
    actions: text('action')?.split(',').map(actionOf),
    actor: text('actor'),
    source: text('source'),
    studyInstanceUID,
    from: instantOf('from', text('from'), 0),
    until: instantOf('until', text('until'), dayMs),
  }
}

const dayMs = 86_400_000

function actionOf(text: string): AuditAction {
  const action = auditActions.find((one) => one === text)
  if (action === undefined) throw problem('action', `none of ${auditActions.join(', ')}`)
  return action
}

function instantOf(name: string, text: string | undefined, dayEndMs: number): Date | undefined {
  if (text === undefined) return undefined
  const isDate = /^\d{4}-\d\d-\d\d$/.test(text)
  const isInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text)
  const at = isDate || isInstant ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) {
    throw problem(name, 'neither a date like 2026-03-01 nor an instant like 2026-03-01T12:00:00Z')
  }
  return new Date(isDate ? at + dayEndMs : at)
}

function problem(name: string, what: string): HttpProblem {
  return new HttpProblem(400, `Cannot read the audit log: "${name}" is ${what}`)
}
