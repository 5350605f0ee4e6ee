import type { StudyAction } from './action.ts'
import { askSource } from './ask-source.ts'
import { commit } from './commit.ts'
import { declare } from './declare.ts'
import { deleteStudy } from './delete.ts'
import { reopen } from './reopen.ts'
import { settle } from './settle.ts'
import { verify } from './verify.ts'

export const studyActions: StudyAction[] = [
  settle,
  reopen,
  commit,
  verify,
  declare,
  askSource,
  deleteStudy,
]
