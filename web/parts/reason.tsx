/** @jsxImportSource hono/jsx */
/**
 * Plain names of Failure and Warning Reasons.
 *
 * @see PS3.18 Tables I.2-1 and I.2-2; PS3.7 Annex C
 */
export const reasonNames: Record<number, string> = {
  262: 'Invalid attribute value',
  272: 'Processing failure',
  273: 'Duplicate SOP Instance',
  279: 'Invalid SOP Instance UID',
  281: 'Class-instance conflict',
  288: 'Missing attribute',
  289: 'Missing attribute value',
  290: 'SOP Class not supported',
  292: 'Not authorized',
  531: 'Resource limitation',
  42752: 'Out of resources',
  43264: 'Data Set does not match SOP Class',
  // Those of our own lie in the ranges that the standard leaves for that.
  43265: 'Not of the study of the request',
  43266: 'SOP Instance belongs to another series',
  43267: 'Series belongs to another study',
  45056: 'Coercion of data elements',
  45062: 'Elements discarded',
  45063: 'Data Set does not match SOP Class',
  49152: 'Cannot understand',
  49407: 'Rolled back with the request',
  49442: 'Transfer Syntax not supported',
  50192: 'Deleted, and not allowed to come again',
}

/** `A900`, as the standard writes it. */
export function reasonHex(reason: number): string {
  return reason.toString(16).toUpperCase().padStart(4, '0')
}

export function reasonName(reason: number): string {
  const name = reasonNames[reason]
  if (name !== undefined) return name
  const range = reason >> 8
  if (range === 0xa7) return 'Out of resources'
  if (range === 0xa9) return 'Data Set does not match SOP Class'
  if (reason >> 12 === 0xc) return 'Cannot understand'
  return 'Other reason'
}

interface ReasonProps {
  reason: number
}

/** Plain name and code: `Missing attribute (0120)`. */
export function Reason({ reason }: ReasonProps) {
  return (
    <>
      {reasonName(reason)} <span class="muted">({reasonHex(reason)})</span>
    </>
  )
}

/** What to do about it, in a sentence; empty where nobody could say. */
export function reasonAdvice(reason: number): string {
  const advice = advices[reason]
  if (advice !== undefined) return advice
  return reason >> 12 === 0xc ? (advices[49152] as string) : ''
}

const advices: Record<number, string> = {
  273: 'Another file with the same SOP Instance UID is here, or came in the same request. Ask the sender why it sends two.',
  279: 'Ask the sender to give a valid SOP Instance UID.',
  288: 'Ask the sender to fill in what the detail names.',
  289: 'Ask the sender to fill in what the detail names.',
  42752: 'Make room on the disk of the store; the sender may send again.',
  43264: 'Ask the sender for a file whose data set is of the SOP Class it names.',
  43265: 'Ask the sender to send to the study that the instance belongs to.',
  43266: 'The instance is here in another series. Ask the sender which is right.',
  43267: 'The series is here in another study. Ask the sender which is right.',
  45056: 'What the instance says differs from what is known of its study or series.',
  45063: 'What the instance says differs from what is known of its study or series.',
  50192: 'It was deleted here. Allow it to come again on the page of its study, if it should.',
  49407: 'Nothing is wrong with it: another instance of its request was refused.',
  49442:
    'Ask the sender to send it in a transfer syntax that is known here, such as Explicit VR Little Endian.',
  49152: 'It is no DICOM file, or it is broken. Ask the sender to look at the file.',
}
