/** @jsxImportSource hono/jsx */
import type { TransferState, Verdict } from '../../db/schema.ts'
import type { StudyState } from '../../db/study-list.ts'
import { Icon, type IconName } from './icon.tsx'

export type Tone = 'neutral' | 'working' | 'success' | 'waiting' | 'danger' | 'special'

export interface Sign {
  icon: IconName
  word: string
  tone: Tone
}

/** How each state looks: the only place that knows. */
export const transferSigns: Record<TransferState, Sign> = {
  receiving: { icon: 'arriving', word: 'Receiving', tone: 'working' },
  committed: { icon: 'tick', word: 'Committed', tone: 'success' },
  refused: { icon: 'cross', word: 'Refused', tone: 'danger' },
  aborted: { icon: 'broken', word: 'Aborted', tone: 'waiting' },
  expired: { icon: 'clock', word: 'Expired', tone: 'neutral' },
}

export const studySigns: Record<StudyState, Sign> = {
  receiving: { icon: 'arriving', word: 'Receiving', tone: 'working' },
  settling: { icon: 'hourglass', word: 'Settling', tone: 'special' },
  reopened: { icon: 'again', word: 'Reopened', tone: 'waiting' },
  stable: { icon: 'tick', word: 'Stable', tone: 'success' },
}

/** A verdict that is not known is no sign: most studies have nothing that could tell. */
export const verdictSigns: Record<Exclude<Verdict, 'unknown'>, Sign> = {
  partial: { icon: 'part', word: 'Partial', tone: 'waiting' },
  complete: { icon: 'tick', word: 'Complete', tone: 'success' },
  conflict: { icon: 'question', word: 'Conflict', tone: 'danger' },
}

export function Badge({ icon, word, tone }: Sign) {
  return (
    <span class="badge" data-tone={tone}>
      <Icon name={icon} />
      {word}
    </span>
  )
}

export function TransferBadge({ state }: { state: TransferState }) {
  return <Badge {...transferSigns[state]} />
}

export function StudyBadge({ state }: { state: StudyState }) {
  return <Badge {...studySigns[state]} />
}
