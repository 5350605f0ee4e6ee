import type { StudyAction } from './action.ts'
import { reopen } from './reopen.ts'
import { settle } from './settle.ts'

export const studyActions: StudyAction[] = [settle, reopen]
