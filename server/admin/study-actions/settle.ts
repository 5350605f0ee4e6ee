import { settleNow } from '../../../db/stability.ts'
import type { StudyAction } from './action.ts'

export const settle: StudyAction = {
  name: 'settle',
  async run({ studyInstanceUID }, _form, { db }) {
    await settleNow(db, studyInstanceUID)
  },
}
