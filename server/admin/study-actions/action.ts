import type { Study } from '../../../db/instances.ts'
import type { ActionTarget } from '../../../web/study-actions/view.tsx'
import { HttpProblem } from '../../http/problem.ts'
import type { PageDeps } from '../deps.ts'

/** Who wants what. */
export interface ActionRequest {
  study: Study
  target: ActionTarget
  form: URLSearchParams
  /** Network address of whoever asks. */
  sender: string | undefined
  /** Aborted when he goes away. */
  signal: AbortSignal
}

/** What an administrator can do with a study: one file each, in the list of `all.ts`. */
export interface StudyAction {
  /** In addresses; the same as on the page's side. */
  name: string
  /** Bytes of its form at most. Default 16 KiB. */
  formBytes?: number
  /**
   * @returns what is told of it in place: numbers and words, never patient data
   * @throws {HttpProblem} what is wrong, and what to do
   */
  run(request: ActionRequest, deps: PageDeps): Promise<Record<string, string | number>>
}

/** What somebody typed is not right. Shown beside the field. */
export function fieldProblem(field: string, detail: string): HttpProblem {
  return new HttpProblem(400, detail, { members: { field } })
}
