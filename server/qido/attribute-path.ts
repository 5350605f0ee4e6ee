import { entryOfKeyword, entryOfTag } from '../dicom/dictionary.ts'

/** An attribute, or one in a sequence, as a query names it. */
export interface AttributePath {
  /** Eight uppercase hexadecimal digits each; all but the last are sequences. */
  tags: string[]
}

/**
 * Reads keywords and tags with dots between: `PatientID`, `00100020`, `RequestAttributesSequence.00400009`.
 * (PS3.18 8.3.1.1; QI-P1, QI-P2)
 *
 * @returns `unknown`: a word that is no keyword. `malformed`: no word either.
 */
export function parseAttributePath(text: string): AttributePath | 'unknown' | 'malformed' {
  const tags: string[] = []
  const parts = text.split('.')
  // All of them before any is looked up: what is called unknown is said again, in a header.
  if (!parts.every((part) => /^(?:[0-9A-Fa-f]{8}|[A-Za-z_][A-Za-z0-9_]{0,63})$/.test(part))) {
    return 'malformed'
  }
  for (const part of parts) {
    if (/^[0-9A-Fa-f]{8}$/.test(part)) tags.push(part.toUpperCase())
    else {
      const entry = entryOfKeyword(part)
      if (entry === undefined) return 'unknown'
      tags.push(entry.tag)
    }
  }
  // What stands before a dot must hold items, as far as PS3.6 knows it.
  const isNested = tags.slice(0, -1).every((tag) => (entryOfTag(tag)?.vr ?? 'SQ') === 'SQ')
  return isNested ? { tags } : 'malformed'
}
