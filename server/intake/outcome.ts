import type { Disagreement, Refusal } from '../../db/transfers.ts'
import { intakeReasons } from './failure-reasons.ts'
import type { PartLedger } from './parts.ts'

export interface StoredInstance {
  position: number
  studyInstanceUID: string
  seriesInstanceUID: string
  sopInstanceUID: string
  sopClassUID: string
  /** It was stored before, with equal bytes. */
  duplicate: boolean
  /** Why it is stored with a warning, without any value. */
  warning?: string | undefined
}

/** What became of a transfer that came to its end. Both lists are in the order of the parts. */
export interface TransferOutcome {
  transferID: string
  state: 'committed' | 'refused'
  stored: StoredInstance[]
  refused: Refusal[]
}

/** Those that are in the archive after the commit, with what it found wrong with them. */
export function storedOf(
  ledger: PartLedger,
  disagreements: Disagreement[],
  refused: Refusal[],
): StoredInstance[] {
  const details = new Map(disagreements.map((d) => [d.position, d.detail]))
  const refusedPositions = new Set(refused.map((one) => one.position))
  return ledger.accepted
    .filter((a) => !refusedPositions.has(a.position))
    .map((a): StoredInstance => {
      const contradiction = [a.position, a.attributesOf.study, a.attributesOf.series]
        .map((position) => details.get(position))
        .find((detail) => detail !== undefined)
      const { position, studyInstanceUID, seriesInstanceUID, sopInstanceUID, sopClassUID } = a
      return {
        position,
        studyInstanceUID,
        seriesInstanceUID,
        sopInstanceUID,
        sopClassUID,
        duplicate: a.duplicate,
        warning: a.duplicate ? undefined : (a.warning ?? contradiction),
      }
    })
}

/** Names the innocent as well: each instance that was not stored is in the answer. (AT-02) */
export function allRefused(ledger: PartLedger, guilty: Refusal[]): Refusal[] {
  const guiltyPositions = new Set(guilty.map((one) => one.position))
  const innocent = ledger.accepted
    .filter((a) => !guiltyPositions.has(a.position))
    .map((a) => ({
      position: a.position,
      failureReason: intakeReasons.rolledBackWithRequest,
      detail: 'Rolled back, because another instance of the same request was refused',
      studyInstanceUID: a.studyInstanceUID,
      sopClassUID: a.sopClassUID,
      sopInstanceUID: a.sopInstanceUID,
    }))
  return inOrder([...guilty, ...innocent])
}

export function inOrder(refused: Refusal[]): Refusal[] {
  return refused.toSorted((a, b) => a.position - b.position)
}
