import type { UploadReport } from '../../web/pages/upload-page.tsx'
import { dataSetDoesNotMatchWarning, intakeReasons } from '../intake/failure-reasons.ts'
import type { TransferOutcome } from '../intake/outcome.ts'
import type { Transfer } from '../intake/transfer.ts'

/** What the receiving of a form found out beside the transfer itself. */
export interface ReceivedForm {
  transfer: Transfer
  /** What the sender calls the file of each part. Only for the answer: names may hold patient data. */
  fileNames: string[]
  skippedCount: number
}

/** Sorts an outcome for people: who is guilty, who was only there, and what is where. */
export function reportOf(
  outcome: TransferOutcome,
  { transfer, fileNames, skippedCount }: ReceivedForm,
): UploadReport {
  const { stored, refused } = outcome
  const guilty = refused.filter((r) => r.failureReason !== intakeReasons.rolledBackWithRequest)
  return {
    transferID: outcome.transferID,
    state: outcome.state,
    handling: transfer.handling,
    storedCount: stored.length,
    duplicateCount: stored.filter((one) => one.duplicate).length,
    refusals: guilty.map((one) => ({
      position: one.position,
      reason: one.failureReason,
      detail: one.detail,
      studyInstanceUID: one.studyInstanceUID,
      sopInstanceUID: one.sopInstanceUID,
      fileName: fileNames[one.position],
    })),
    rolledBackCount: refused.length - guilty.length,
    warnings: stored.flatMap(({ position, warning, sopInstanceUID }) =>
      warning === undefined
        ? []
        : [
            {
              position,
              reason: dataSetDoesNotMatchWarning,
              detail: warning,
              sopInstanceUID,
              fileName: fileNames[position],
            },
          ],
    ),
    skippedCount,
    studies: [...new Set(stored.map((one) => one.studyInstanceUID))],
  }
}

/** The same as for a request of STOW-RS: 200 all is well, 202 stored with something to say, 409 nothing. */
export function statusOf({ storedCount, refusals, warnings }: UploadReport): 200 | 202 | 409 {
  if (storedCount === 0) return 409
  return refusals.length === 0 && warnings.length === 0 ? 200 : 202
}
