/**
 * Says whether a text is a UID: at least two components of digits without leading zeros, at most 64 characters.
 *
 * The text must be free of padding (VA-3). That one component is not enough is our reading: every root has two.
 *
 * @see PS3.5 9.1; VA-1
 */
export function isUID(text: string): boolean {
  return text.length <= 64 && pattern.test(text)
}

const pattern = /^(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+$/
