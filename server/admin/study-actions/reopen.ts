import { reopen as reopenStudy } from '../../../db/stability.ts'
import type { StudyAction } from './action.ts'

export const reopen: StudyAction = {
  name: 'reopen',
  async run({ studyInstanceUID }, _form, { db }) {
    await reopenStudy(db, studyInstanceUID)
  },
}
