import type { Study } from '../../../db/instances.ts'
import type { PageDeps } from '../deps.ts'

/** What an administrator can do with a study: one file each, in the list of `all.ts`. */
export interface StudyAction {
  /** In addresses; the same as on the page's side. */
  name: string
  /** @throws {HttpProblem} what is wrong, and what to do */
  run(study: Study, form: URLSearchParams, deps: PageDeps): Promise<void>
}
