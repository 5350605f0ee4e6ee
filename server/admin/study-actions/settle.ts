import { settleNow } from '../../../db/stability.ts'
import type { StudyAction } from './action.ts'

export const settle: StudyAction = {
  name: 'settle',
  async run({ study }, { db }) {
    await settleNow(db, study.studyInstanceUID)
    return {}
  },
}
