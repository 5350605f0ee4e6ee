import type { Disagreement, Refusal } from '../../db/transfers.ts'
import type { CommitWay } from './commit-ways.ts'
import { TransferLostError } from './errors.ts'
import type { GroupedResult } from './group-members.ts'
import type { AcceptedInstance, PartLedger } from './parts.ts'

export type AcceptedResult =
  | { outcome: 'committed'; disagreements: Disagreement[]; refused: Refusal[] }
  /** Nothing is stored, because of these. */
  | { outcome: 'refused'; refused: Refusal[] }

/** Commits some of the parts, and records with them what was refused. */
export type CommitFresh = (
  way: CommitWay,
  fresh: AcceptedInstance[],
  refused: Refusal[],
) => Promise<GroupedResult>

/**
 * Commits what a transfer accepted. What the database has already, or refuses while the rest may stay, is taken out, and the
 * commit is tried again without it.
 *
 * @param first How it is tried. @param onItsOwn How else, where others are in the way of a group.
 * @throws {TransferLostError} → 503; what the ways throw
 */
export async function commitAccepted(
  ledger: PartLedger,
  commit: CommitFresh,
  first: CommitWay,
  onItsOwn: () => Promise<CommitWay>,
): Promise<AcceptedResult> {
  let way = first
  let dropped = new Set<number>()
  let refused = [...ledger.refused]
  /** Found by the database. */
  const duplicates = new Set<number>()
  for (;;) {
    const fresh = ledger.accepted.filter((a) => !a.duplicate && !dropped.has(a.position))
    const result = await commit(way, fresh, refused)
    if (result.outcome === 'committed') {
      return { outcome: 'committed', disagreements: result.disagreements, refused }
    }
    if (result.outcome === 'lost') throw new TransferLostError(result.reason)
    if (result.outcome === 'contended') {
      // From the beginning: its own commit finds again what is superfluous.
      for (const position of duplicates) ledger.markDuplicate(position, false)
      duplicates.clear()
      dropped = new Set()
      refused = [...ledger.refused]
      way = await onItsOwn()
      continue
    }
    const known = ledger.spread(result.refused)
    if (result.outcome === 'refused') return { outcome: 'refused', refused: known }
    refused.push(...known)
    for (const position of result.duplicates) {
      duplicates.add(position)
      ledger.markDuplicate(position)
    }
    dropped = new Set([...dropped, ...result.duplicates, ...known.map((one) => one.position)])
    const refusedPositions = new Set(refused.map((one) => one.position))
    const nothingIsLeft = ledger.accepted.every((a) => refusedPositions.has(a.position))
    if (nothingIsLeft) return { outcome: 'refused', refused }
    await way.drop(fresh, dropped, ledger.handOn(dropped))
  }
}
