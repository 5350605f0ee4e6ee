import type { AttributeLine } from '../../web/pages/instance-page.tsx'
import { entryOfTag } from '../dicom/dictionary.ts'
import type { DicomJson, DicomJsonAttribute } from '../dicom/json-to-xml.ts'

/** As many lines as one page shows, and characters of one value; the metadata have all. */
const mostLines = 5000
const mostCharacters = 1000

/** The DICOM JSON model as lines to read: names from the dictionary, sequences further in. (PS3.18 F.2) */
export function attributeLines(model: DicomJson): { lines: AttributeLine[]; isCut: boolean } {
  const lines: AttributeLine[] = []
  const isWhole = addLines(model, 0, lines)
  return { lines, isCut: !isWhole }
}

function addLines(model: DicomJson, depth: number, lines: AttributeLine[]): boolean {
  for (const [tag, attribute] of Object.entries(model)) {
    if (lines.length >= mostLines) return false
    const { vr } = attribute
    lines.push({
      tag,
      name: nameOf(tag),
      vr,
      value: textOf(attribute),
      depth,
      isOfPatient: isOfPatient(tag, vr),
    })
    if (vr !== 'SQ') continue
    for (const [index, item] of (attribute.Value ?? []).entries()) {
      lines.push({
        tag: '',
        name: `Item ${index + 1}`,
        vr: '',
        value: '',
        depth: depth + 1,
        isOfPatient: false,
      })
      if (!addLines(item as DicomJson, depth + 2, lines)) return false
    }
  }
  return true
}

/** All of the patient's module, and any name: in an item it may be the patient's. (PS3.6, group 0010) */
function isOfPatient(tag: string, vr: string): boolean {
  return tag.startsWith('0010') || vr === 'PN'
}

/** `Patient ID` of the keyword `PatientID`; a private attribute has no name. */
function nameOf(tag: string): string {
  const keyword = entryOfTag(tag)?.keyword
  if (keyword === undefined)
    return Number.parseInt(tag.slice(3, 4), 16) % 2 === 1 ? 'Private' : 'Unknown'
  return keyword.replace(/([a-z\d])([A-Z])|([A-Z]+)([A-Z][a-z])/g, '$1$3 $2$4')
}

function textOf({ vr, Value, BulkDataURI, InlineBinary }: DicomJsonAttribute): string {
  if (BulkDataURI !== undefined) return 'bulk data'
  if (InlineBinary !== undefined) {
    return `${Math.floor((InlineBinary.replace(/=+$/, '').length * 3) / 4)} bytes`
  }
  if (vr === 'SQ') return `${Value?.length ?? 0} ${Value?.length === 1 ? 'item' : 'items'}`
  const text = (Value ?? []).map(partText).join(' \\ ')
  return text.length > mostCharacters ? `${text.slice(0, mostCharacters)} …` : text
}

function partText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value !== 'object') return String(value)
  return Object.values(value as Record<string, string>)
    .filter(Boolean)
    .join(' = ')
}
