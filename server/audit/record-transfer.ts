import type { EndedTransfer } from '../intake/intake.ts'
import type { Audit } from './audit.ts'

/** Who stored what: one event for each study that a transfer brought; one without instances for a transfer that failed. */
export function recordTransfer(audit: Audit, transfer: EndedTransfer): void {
  const { transferID, service, state, sender, sentBy, studyInstanceUID, storedByStudy } = transfer
  const event = { action: 'store', actor: sentBy, source: sender, transferID } as const
  const what = service
  if (state !== 'committed') {
    const outcome = state === 'refused' ? 4 : 8
    audit.record({ ...event, what: `${what} ${state}`, outcome, studyInstanceUID })
    return
  }
  for (const [study, instanceCount] of storedByStudy) {
    audit.record({ ...event, what, outcome: 0, studyInstanceUID: study, instanceCount })
  }
}
