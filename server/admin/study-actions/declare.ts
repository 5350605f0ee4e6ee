import { type Claim, putEvidence, withdrawEvidence } from '../../../db/evidence.ts'
import { isUID } from '../../dicom/uid.ts'
import { fieldProblem, type StudyAction } from './action.ts'

/** Some 15,000 UIDs. */
const formBytes = 1024 * 1024

export const declare: StudyAction = {
  name: 'declare',
  formBytes,
  async run({ study, form, sender }, { db }) {
    const { studyInstanceUID } = study
    if (form.has('withdraw')) {
      await withdrawEvidence(db, studyInstanceUID, 'declared')
      return { withdrawn: 1 }
    }
    const claim = claimOf(form)
    await putEvidence(db, studyInstanceUID, {
      source: 'declared',
      origin: '',
      extent: 'all',
      claims: [claim],
      claimedBy: sender,
    })
    return { expected: claim.instanceCount as number }
  },
}

/** @throws {HttpProblem} 400 */
function claimOf(form: URLSearchParams): Claim {
  const count = (form.get('count') ?? '').trim().replaceAll(',', '')
  const uids = (form.get('uids') ?? '').split(/[\s,;]+/).filter((uid) => uid !== '')
  if (count !== '' && uids.length > 0) {
    throw fieldProblem('uids', 'Give the number or the UIDs, not both')
  }
  if (uids.length > 0) {
    const wrong = uids.findIndex((uid) => !isUID(uid))
    if (wrong >= 0) throw fieldProblem('uids', `Number ${wrong + 1} of the UIDs is no valid UID`)
    const sopInstanceUIDs = [...new Set(uids)]
    return { instanceCount: sopInstanceUIDs.length, sopInstanceUIDs }
  }
  if (/^\d{1,9}$/.test(count)) return { instanceCount: Number(count) }
  throw fieldProblem('count', 'The number of instances is a whole number: 0, or more')
}
