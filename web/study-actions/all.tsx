import { askSource } from './ask-source.tsx'
import { commit } from './commit.tsx'
import { declare } from './declare.tsx'
import { deleteStudy } from './delete.tsx'
import { reopen } from './reopen.tsx'
import { settle } from './settle.tsx'
import { verify } from './verify.tsx'
import type { StudyActionView } from './view.tsx'

/** In the order in which they stand on the page. */
export const studyActionViews: StudyActionView[] = [
  settle,
  reopen,
  commit,
  verify,
  declare,
  askSource,
  deleteStudy,
]
