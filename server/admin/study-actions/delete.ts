import { deleteResource } from '../../../db/deletions.ts'
import { countOf } from '../../../web/parts/quantity.tsx'
import { lastDigits } from '../../../web/study-actions/delete.tsx'
import { HttpProblem } from '../../http/problem.ts'
import { type ActionRequest, fieldProblem, type StudyAction } from './action.ts'

const reasonCharacters = 1000

export const deleteStudy: StudyAction = {
  name: 'delete',
  async run(request, { db, deleted }) {
    const { study, target, form, sender } = request
    const reason = (form.get('reason') ?? '').trim()
    if (reason === '' || reason.length > reasonCharacters || reason.includes('\0')) {
      throw fieldProblem('reason', `Say why, in ${reasonCharacters} characters at most`)
    }
    if (!isMeant(request)) {
      throw fieldProblem('confirm', 'What was typed is not of this one, and nothing was deleted')
    }
    const seen = Number(form.get('instances') ?? target.instanceCount)
    if (seen !== target.instanceCount) {
      throw fieldProblem(
        'confirm',
        `There ${target.instanceCount === 1 ? 'is' : 'are'} ${countOf(target.instanceCount, 'instance')} now, and there were ${seen} when you were asked; nothing was deleted`,
      )
    }
    const { seriesInstanceUID, sopInstanceUID } = target
    const path = { studyInstanceUID: study.studyInstanceUID, seriesInstanceUID, sopInstanceUID }
    const result = await deleteResource(db, path, {
      reason,
      force: form.has('force'),
      allowResend: form.has('allowResend'),
      sender,
    })
    if (result.outcome === 'not-found') {
      throw new HttpProblem(410, `The ${target.level} is gone already`)
    }
    if (result.outcome === 'committed') {
      throw fieldProblem(
        'force',
        `The storage of ${result.committedInstanceCount} of them was committed, and nothing was deleted: say that you mean these, too`,
      )
    }
    deleted()
    return { instances: result.deletion.instanceCount }
  },
}

/** Who deletes types something that only this one has. */
function isMeant({ study, target, form }: ActionRequest): boolean {
  const typed = (form.get('confirm') ?? '').trim()
  const uid = target.sopInstanceUID ?? target.seriesInstanceUID ?? study.studyInstanceUID
  return (
    typed === lastDigits(uid) ||
    typed === uid ||
    (target.level === 'study' && typed !== '' && typed === study.accessionNumber?.trim())
  )
}
