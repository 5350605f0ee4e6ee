/**
 * Plain names of Failure and Warning Reasons.
 *
 * @see PS3.18 Tables I.2-1 and I.2-2; PS3.7 Annex C
 */
const names: Record<number, string> = {
  0x0106: 'Invalid attribute value',
  0x0110: 'Processing failure',
  0x0111: 'Duplicate SOP Instance',
  0x0117: 'Invalid SOP Instance UID',
  0x0119: 'Class-instance conflict',
  0x0120: 'Missing attribute',
  0x0121: 'Missing attribute value',
  0x0122: 'SOP Class not supported',
  0x0124: 'Not authorized',
  0x0213: 'Resource limitation',
  0xa700: 'Out of resources',
  0xa900: 'Data Set does not match SOP Class',
  // Those of our own lie in the ranges that the standard leaves for that.
  0xa901: 'Not of the study of the request',
  0xa902: 'SOP Instance belongs to another series',
  0xa903: 'Series belongs to another study',
  0xb000: 'Coercion of data elements',
  0xb006: 'Elements discarded',
  0xb007: 'Data Set does not match SOP Class',
  0xc000: 'Cannot understand',
  0xc0ff: 'Rolled back with the request',
  0xc122: 'Transfer Syntax not supported',
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
