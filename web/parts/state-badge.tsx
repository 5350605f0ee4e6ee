/** @jsxImportSource hono/jsx */
import type { TransferState } from '../../db/schema.ts'
import { Icon, type IconName } from './icon.tsx'

export type Tone = 'neutral' | 'working' | 'success' | 'waiting' | 'danger' | 'special'

interface Sign {
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

interface TransferBadgeProps {
  state: TransferState
}

export function TransferBadge({ state }: TransferBadgeProps) {
  const { icon, word, tone } = transferSigns[state]
  return (
    <span class="badge" data-tone={tone}>
      <Icon name={icon} />
      {word}
    </span>
  )
}
