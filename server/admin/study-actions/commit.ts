import { randomUUID } from 'node:crypto'
import { instancesToCommit } from '../../../db/commitment-list.ts'
import { findCommitment, requestCommitment } from '../../../db/commitments.ts'
import { HttpProblem } from '../../http/problem.ts'
import type { StudyAction } from './action.ts'

/** As many as a request over the network may have. */
const mostInstances = 100_000
/** What takes longer is told later. */
const patienceMs = 10_000

export const commit: StudyAction = {
  name: 'commit',
  async run({ study, sender, signal }, { db, committer, commitmentWaitBytes }) {
    const instances = await instancesToCommit(db, study, mostInstances + 1)
    if (instances.length > mostInstances) {
      throw new HttpProblem(
        409,
        `Cannot request commitment of more than ${mostInstances} instances at once; request it over DICOMweb, by series`,
      )
    }
    const transactionUID = newTransactionUID()
    const requested = await requestCommitment(db, {
      transactionUID,
      form: 'study',
      instances,
      requester: sender,
      requesterProduct: 'the page',
    })
    if (requested === undefined) throw new Error('A new Transaction UID was used before')
    if (requested.byteLength <= commitmentWaitBytes) {
      const finished = committer.finished(requested.commitmentKey, patienceMs, signal)
      committer.wake()
      await finished
    } else {
      committer.wake()
    }
    const found = await findCommitment(db, transactionUID)
    if (found?.state !== 'finished') return { waiting: instances.length }
    return { committed: found.committedCount, failed: found.failedCount }
  },
}

/** @see PS3.5 B.2 */
function newTransactionUID(): string {
  return `2.25.${BigInt(`0x${randomUUID().replaceAll('-', '')}`)}`
}
