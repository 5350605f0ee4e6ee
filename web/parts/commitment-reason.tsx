/** @jsxImportSource hono/jsx */
import { reasonHex, reasonName } from './reason.tsx'

/**
 * Failure Reasons of storage commitment: the same numbers as for storage, but what they mean is about
 * what is here.
 *
 * @see PS3.3 C.14.1.1
 */
const reasons: Record<number, { name: string; meaning: string }> = {
  272: {
    name: 'Damaged or unreadable',
    meaning:
      'Its bytes could not be read, or are not what came. Ask the sender for it again; it should not delete its copy.',
  },
  274: {
    name: 'Not here',
    meaning:
      'There is no such instance in the archive, or not in this study and series. Ask the sender to send it, and to request its commitment then.',
  },
  281: {
    name: 'Another SOP Class',
    meaning:
      'The instance is here with another SOP Class UID than the request has. Ask the sender which is right.',
  },
  290: {
    name: 'Never stored',
    meaning: 'Instances of this SOP Class are not stored by this archive.',
  },
  305: {
    name: 'Transaction UID used before',
    meaning: 'Ask the sender to choose a new Transaction UID for each request.',
  },
  531: {
    name: 'Resource limitation',
    meaning: 'The archive could not do it at that time. Ask the sender to request it again.',
  },
}

/** `Not here (0112)` */
export function CommitmentReason({ reason }: { reason: number }) {
  return (
    <>
      {reasons[reason]?.name ?? reasonName(reason)} <span class="muted">({reasonHex(reason)})</span>
    </>
  )
}

/** What it means for the data, and what to do. */
export function commitmentReasonMeaning(reason: number): string {
  return reasons[reason]?.meaning ?? ''
}
