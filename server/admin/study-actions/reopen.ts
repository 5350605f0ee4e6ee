import { reopen as reopenStudy } from '../../../db/stability.ts'
import type { StudyAction } from './action.ts'

export const reopen: StudyAction = {
  name: 'reopen',
  async run({ study }, { db }) {
    await reopenStudy(db, study.studyInstanceUID)
    return {}
  },
}
