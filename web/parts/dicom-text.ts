/**
 * A PN for people: `Adams^John Robert^Quincy^Rev.^B.A.` is `Adams, Rev. John Robert Quincy, B.A.`
 *
 * Of the three representations the alphabetic one leads, and another follows in brackets.
 *
 * @see PS3.5 6.2.1
 */
export function personName(value: string): string {
  const [alphabetic = '', ideographic = ''] = value.split('=').map(representation)
  if (alphabetic === '') return ideographic
  return ideographic === '' ? alphabetic : `${alphabetic} (${ideographic})`
}

function representation(text: string): string {
  const [family = '', given = '', middle = '', prefix = '', suffix = ''] = text
    .split('^')
    .map((component) => component.trim())
  const called = [prefix, given, middle].filter(Boolean).join(' ')
  return [family, called, suffix].filter(Boolean).join(', ')
}

/** A DA for people: `20240301` is `2024-03-01`; what is no date stays as it came. */
export function dateText(value: string): string {
  const found = /^(\d{4})\.?(\d\d)\.?(\d\d)$/.exec(value.trim())
  return found === null ? value : `${found[1]}-${found[2]}-${found[3]}`
}
