import { entryOfTag } from './dictionary.ts'

/** One data set in the DICOM JSON model (PS3.18 Annex F), parsed. */
export type DicomJson = { [tag: string]: DicomJsonAttribute }

export interface DicomJsonAttribute {
  vr: string
  Value?: readonly unknown[]
  InlineBinary?: string
  BulkDataURI?: string
}

/**
 * Converts a data set from the DICOM JSON model to a Native DICOM Model document.
 *
 * A private attribute is named by its creator: block number 00 in its tag, and `privateCreator` (JS-22). Characters
 * that XML 1.0 has no form for, such as ESC, become U+FFFD (JS-28).
 *
 * @see PS3.19 A.1; JS-28
 */
export function toNativeDicomModel(dataset: DicomJson): string {
  const attributes = attributesXml(dataset)
  return `<?xml version="1.0" encoding="UTF-8"?>
<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">${attributes}</NativeDicomModel>
`
}

function attributesXml(dataset: DicomJson): string {
  let xml = ''
  // Engines put keys without a letter and a leading zero, such as 20500020, before all others.
  for (const tag of Object.keys(dataset).sort()) {
    xml += attributeXml(tag.toUpperCase(), dataset[tag] as DicomJsonAttribute, dataset)
  }
  return xml
}

function attributeXml(tag: string, attribute: DicomJsonAttribute, dataset: DicomJson): string {
  const content = contentXml(attribute)
  const start = `<DicomAttribute${namesXml(tag, attribute.vr, dataset)}`
  return content === '' ? `${start}/>` : `${start}>${content}</DicomAttribute>`
}

/** `tag`, `vr`, and `keyword` or `privateCreator` where there is one. */
function namesXml(tag: string, vr: string, dataset: DicomJson): string {
  const vrXml = ` vr="${escaped(vr)}"`
  const isPrivate = /^[0-9A-F]{3}[13579BDF]/.test(tag)
  const block = tag.slice(4, 6)
  if (isPrivate && block !== '00') {
    const creator = dataset[`${tag.slice(0, 4)}00${block}`]?.Value?.[0]
    // Without its creator the block number is all there is to tell it from others.
    if (typeof creator !== 'string') return ` tag="${tag}"${vrXml}`
    return ` tag="${tag.slice(0, 4)}00${tag.slice(6)}"${vrXml} privateCreator="${escaped(creator)}"`
  }
  const keyword = entryOfTag(tag)?.keyword
  const names = ` tag="${tag}"${vrXml}`
  return keyword === undefined ? names : `${names} keyword="${escaped(keyword)}"`
}

function contentXml({ vr, Value, InlineBinary, BulkDataURI }: DicomJsonAttribute): string {
  if (BulkDataURI !== undefined) return `<BulkData uri="${escaped(BulkDataURI)}"/>`
  if (InlineBinary !== undefined) return `<InlineBinary>${escaped(InlineBinary)}</InlineBinary>`
  let xml = ''
  for (const [index, value] of (Value ?? []).entries()) {
    const number = ` number="${index + 1}"`
    if (vr === 'SQ') xml += element('Item', number, attributesXml((value ?? {}) as DicomJson))
    else if (vr === 'PN') xml += element('PersonName', number, personNameXml(value))
    else xml += element('Value', number, value === null ? '' : escaped(String(value)))
  }
  return xml
}

const groups = ['Alphabetic', 'Ideographic', 'Phonetic'] as const
const components = ['FamilyName', 'GivenName', 'MiddleName', 'NamePrefix', 'NameSuffix']

/** The component groups, each split into its five components (JS-07). */
function personNameXml(value: unknown): string {
  const name = (value ?? {}) as Partial<Record<(typeof groups)[number], string>>
  let xml = ''
  for (const group of groups) {
    const parts = name[group]?.split('^') ?? []
    let inner = ''
    for (const [index, component] of components.entries()) {
      // What stands after a fifth caret belongs to no component; it stays with the last.
      const text = index === 4 ? parts.slice(4).join('^') : (parts[index] ?? '')
      if (text !== '') inner += element(component, '', escaped(text))
    }
    if (inner !== '') xml += element(group, '', inner)
  }
  return xml
}

function element(name: string, attributes: string, content: string): string {
  return content === '' ? `<${name}${attributes}/>` : `<${name}${attributes}>${content}</${name}>`
}

/** Whatever is not a Char of XML 1.0 (production 2), single surrogates among them. */
const forbidden = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu

function escaped(text: string): string {
  return text
    .replace(forbidden, '\uFFFD')
    .replace(/[&<>"\r]/g, (character) => entities[character] ?? '')
}

/** A parser turns a bare CR into a line feed; as a reference it stays. */
const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
}
