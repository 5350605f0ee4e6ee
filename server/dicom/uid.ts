const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39

/**
 * Says whether a text is a UID: at least two components of digits without leading zeros, at most 64 characters.
 *
 * The text must be free of padding (VA-3). That one component is not enough is our reading: every root has two.
 * A loop: the regular expression for it takes 1 µs, and each instance has four UIDs.
 *
 * @see PS3.5 9.1; VA-1
 */
export function isUID(text: string): boolean {
  if (text.length > 64) return false
  let components = 0
  let start = 0
  for (let at = 0; at <= text.length; at++) {
    const code = at < text.length ? text.charCodeAt(at) : POINT
    if (code === POINT) {
      const isEmpty = at === start
      const hasLeadingZero = at > start + 1 && text.charCodeAt(start) === ZERO
      if (isEmpty || hasLeadingZero) return false
      components++
      start = at + 1
    } else if (code < ZERO || code > NINE) return false
  }
  return components >= 2
}
