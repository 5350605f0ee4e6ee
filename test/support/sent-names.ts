import type { DicomElement } from './dicom-file.ts'

/** Values that say who a patient is, of all files that this process made. */
const sent = new Set<string>()

/** Of what describes the patient (group 0010), and names and numbers of the visit. */
const others = new Set(['00080050', '00080090', '00081030', '00081050', '00081070', '00200010'])

/** Remembers the names and IDs of a data set that is going to be sent. */
export function noteSentNames(elements: Iterable<DicomElement>): void {
  for (const { tag, vr, value } of elements) {
    if (typeof value !== 'string') continue
    if (tag.startsWith('0010') || vr === 'PN' || others.has(tag)) sent.add(value.trim())
  }
}

/**
 * Which of them a text has, as words of their own; of names, also the parts. Those that any text may have (single letters,
 * sexes, short numbers, short parts of names) tell nothing.
 */
export function sentNamesIn(text: string): string[] {
  const wanted = [...sent].flatMap((value) => [
    ...(value.length > 1 ? [value] : []),
    ...(value.includes('^') ? value.split(/[\^=]/).filter((part) => part.length > 4) : []),
  ])
  return wanted.filter((value) => {
    if (/^[\d.]{0,5}$/.test(value)) return false
    for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1)) {
      const around = (text[at - 1] ?? ' ') + (text[at + value.length] ?? ' ')
      if (!/[\w.-]/.test(around)) return true
    }
    return false
  })
}
