/** @jsxImportSource hono/jsx */
/**
 * Plain names of Failure and Warning Reasons.
 *
 * @see PS3.18 Tables I.2-1 and I.2-2; PS3.7 Annex C
 */
const names: Record<number, string> = {
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
}

/** `A900`, as the standard writes it. */
export function reasonHex(reason: number): string {
  return reason.toString(16).toUpperCase().padStart(4, '0')
}

export function reasonName(reason: number): string {
  const name = names[reason]
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
