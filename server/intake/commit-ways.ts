import type { Database } from '../../db/database.ts'
import type { GroupMember } from '../../db/groups.ts'
import {
  type Handling,
  type Heir,
  type Received,
  type Refusal,
  restageInstances,
  type StagedInstance,
  type Warning,
} from '../../db/transfers.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import { commitOrFindOut } from './commit-or-find-out.ts'
import type { GroupedResult } from './group-members.ts'
import type { AcceptedInstance } from './parts.ts'
import { rewriteSegments, type SealedSegment } from './rewrite-segments.ts'
import type { Transfer } from './transfer.ts'

/** What is recorded with a commit, of the whole transfer. */
export interface CommitFacts extends Received {
  refused: Refusal[]
  warned: Warning[]
}

/** How a transfer is committed: in a group or on its own. */
export interface CommitWay {
  commit(fresh: AcceptedInstance[], facts: CommitFacts): Promise<GroupedResult>
  /** Takes out what is stored already or refused, so that the next commit goes without it. */
  drop(fresh: AcceptedInstance[], dropped: ReadonlySet<number>, heirs: Heir[]): Promise<void>
}

/** Together with other small ones: its rows and bytes are in memory until then. */
export function groupWay(
  held: StagedInstance[],
  commit: (rows: StagedInstance[], facts: CommitFacts) => Promise<GroupedResult>,
): CommitWay {
  let rows = held
  return {
    commit: (_, facts) => commit(rows, facts),
    drop: async (_, dropped, heirs) => {
      const byPosition = new Map(rows.map((row) => [row.position, row]))
      for (const { level, from_position, to_position } of heirs) {
        const heir = byPosition.get(to_position) as StagedInstance
        heir[level] = byPosition.get(from_position)?.[level]
      }
      rows = rows.filter((row) => !dropped.has(row.position))
    },
  }
}

export interface OwnWay {
  transferID: string
  handling: Handling
  /** All segments are sealed, and all rows staged. */
  sealed: SealedSegment[]
  /** Makes the row of a segment, before its object is made. */
  announce(segmentID: string): Promise<void>
  /** Called once, with the segments that are kept. */
  kept(segments: SealedSegment[]): void
}

/** With segments and staged rows of its own. */
export function ownWay(deps: { db: Database; store: Store; log: Log }, way: OwnWay): CommitWay {
  const { transferID, handling, announce } = way
  let segments = way.sealed
  return {
    commit: async (fresh, facts) => {
      const stagedCount = fresh.length
      const commit = { stagedCount, handling, segments, ...facts }
      const result = await commitOrFindOut(deps, transferID, commit)
      if (result.outcome === 'committed') way.kept(segments)
      return result
    },
    drop: async (fresh, dropped, heirs) => {
      const rewritten = await rewriteSegments(fresh, dropped, segments, deps.store, announce)
      await restageInstances(deps.db, transferID, [...dropped], rewritten.moved, heirs)
      segments = rewritten.segments
    },
  }
}

/** What a group is told of one of its members. Written out: a copy of the request to which the rest is added takes 17 µs. */
export function groupMember(
  { transferID, request, openedAt }: Pick<Transfer, 'transferID' | 'request' | 'openedAt'>,
  facts: CommitFacts,
  storedCount: number,
): GroupMember {
  return {
    transferID,
    service: request.service,
    handling: request.handling,
    sender: request.sender,
    senderProduct: request.senderProduct,
    sentBy: request.sentBy,
    studyInstanceUID: request.studyInstanceUID,
    announcedBytes: request.announcedBytes,
    declaredInstanceCount: request.declaredInstanceCount,
    ageMs: performance.now() - openedAt,
    storedCount,
    receivedBytes: facts.receivedBytes,
    partCount: facts.partCount,
    duplicateCount: facts.duplicateCount,
    refused: facts.refused,
    warned: facts.warned,
  }
}
