import type { Context } from 'hono'
import type { Instance } from '../../db/instances.ts'
import {
  type DicomJson,
  type DicomJsonAttribute,
  toNativeDicomModel,
} from '../dicom/json-to-xml.ts'
import type { AppEnv } from '../http/env.ts'
import { choose } from '../http/negotiation.ts'
import { numberOf, textOf } from '../pixels/image-pixel.ts'
import type { Store } from '../store/store.ts'
import { acceptedRendered } from './accepted-rendered.ts'
import { answerWhole } from './answer.ts'
import type { WadoDeps } from './deps.ts'
import { readMetadata } from './metadata.ts'
import { studiesURLOf } from './paths.ts'
import { itemOf } from './rendering-of.ts'
import { readValue } from './stored-file.ts'

const encapsulatedDocument = '00420011'
const contentSequence = '0040A730'
const html = { type: 'text/html' }
const plain = { type: 'text/plain' }
const xml = { type: 'text/xml' }

/** A Structured Report, or a document in a DICOM file. */
export function isDocument(model: DicomJson): boolean {
  return encapsulatedDocument in model || contentSequence in model
}

/**
 * A document in its own type, as it was encapsulated; the content tree of a Structured Report as nested lists in HTML,
 * or as indented text; all of the report as Native DICOM Model in XML (PS3.18 Table 8.7.4-1).
 */
export async function renderDocument(
  c: Context<AppEnv>,
  { store, log }: WadoDeps,
  instance: Instance,
  model: DicomJson,
): Promise<Response> {
  const digest = Buffer.from(instance.digest).toString('hex')
  const attribute = model[encapsulatedDocument]
  if (attribute !== undefined) {
    const { offer } = choose(acceptedRendered(c), [{ type: documentType(model) }])
    const read = documentReader(instance, store, attribute)
    // (0042,0015) says how many bytes it has without padding.
    const length = Math.min(numberOf(model, '00420015', read.length), read.length)
    return answerWhole(c, log, {
      contentType: offer.type,
      length,
      version: digest,
      isAttachment: !shownTypes.has(offer.type),
      read: (range) => read.bytes(range?.offset ?? 0, range?.length ?? length),
    })
  }
  const { offer } = choose(acceptedRendered(c), [html, plain, xml])
  const studiesURL = studiesURLOf(c)
  const answer = (text: string, version: string) =>
    answerWhole(c, log, whole(`${offer.type}; charset=utf-8`, Buffer.from(text), version))
  if (offer === html) return answer(htmlOf(model), digest)
  if (offer === plain) return answer(textLines(model, 0).join('\n'), digest)
  const metadata = await readMetadata(instance, store, studiesURL)
  // With the address in it, for it is in the URIs of bulk data.
  const version = `${digest} ${studiesURL}`
  return answer(toNativeDicomModel(JSON.parse(Buffer.from(metadata).toString())), version)
}

/** Documents that a browser shows without running what is in them; script in PDF is the viewer's own. */
const shownTypes = new Set(['application/pdf', 'text/plain'])

/** MIME Type of Encapsulated Document (0042,0012), if it is one. */
function documentType(model: DicomJson): string {
  const type = textOf(model, '00420012')?.toLowerCase() ?? ''
  return /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/.test(type) ? type : 'application/octet-stream'
}

/** The bytes of a document: those few that are in the metadata, or a range of the file. */
function documentReader(
  instance: Instance,
  store: Store,
  { vr, InlineBinary, BulkDataURI }: DicomJsonAttribute,
): {
  length: number
  bytes(offset: number, length: number): AsyncGenerator<Uint8Array, void, void>
} {
  const [, start, length] = /(\d+)-(\d+)$/.exec(BulkDataURI ?? '') ?? []
  if (start !== undefined) {
    return {
      length: Number(length),
      bytes: (at, count) =>
        readValue(instance, store, { vr, offset: Number(start) + at, length: count }),
    }
  }
  const inline = Buffer.from(InlineBinary ?? '', 'base64')
  return {
    length: inline.length,
    async *bytes(at, count) {
      yield inline.subarray(at, at + count)
    },
  }
}

function whole(contentType: string, bytes: Uint8Array, version: string) {
  return {
    contentType,
    length: bytes.length,
    version,
    async *read(range?: { offset: number; length: number }) {
      yield range ? bytes.subarray(range.offset, range.offset + range.length) : bytes
    },
  }
}

function htmlOf(model: DicomJson): string {
  const title = escaped(meaningOf(model, '0040A043') ?? 'Structured Report')
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>
<body><h1>${title}</h1>${htmlList(model)}</body></html>
`
}

function htmlList(item: DicomJson): string {
  const items = childrenOf(item).map((child) => {
    return `<li>${escaped(lineOf(child))}${htmlList(child)}</li>`
  })
  return items.length === 0 ? '' : `<ul>${items.join('')}</ul>`
}

function textLines(item: DicomJson, depth: number): string[] {
  return [
    `${'  '.repeat(depth)}${lineOf(item)}`,
    ...childrenOf(item).flatMap((child) => textLines(child, depth + 1)),
  ]
}

function childrenOf(item: DicomJson): DicomJson[] {
  return (item[contentSequence]?.Value ?? []).filter(Boolean) as DicomJson[]
}

/** `Finding: Nodule`: the concept name and the value of a content item (PS3.3 C.17.3). */
function lineOf(item: DicomJson): string {
  const name = meaningOf(item, '0040A043')
  const value = contentOf(item)
  return [name, value].filter((text) => text !== undefined && text !== '').join(': ')
}

function contentOf(item: DicomJson): string | undefined {
  const first = (tag: string) => item[tag]?.Value?.[0]
  switch (textOf(item, '0040A040')) {
    case 'TEXT': {
      // What is too long for metadata is said to be there, rather than left out.
      const { BulkDataURI } = item['0040A160'] ?? {}
      return BulkDataURI === undefined ? textOf(item, '0040A160') : `[long text: ${BulkDataURI}]`
    }
    case 'CODE':
      return meaningOf(item, '0040A168')
    case 'NUM': {
      const measured = itemOf(item, '0040A300')
      const number = measured?.['0040A30A']?.Value?.[0]
      const unit = measured && meaningOf(measured, '004008EA')
      return number === undefined ? undefined : `${number}${unit ? ` ${unit}` : ''}`
    }
    case 'PNAME': {
      const name = first('0040A123') as { Alphabetic?: string } | undefined
      return name?.Alphabetic
    }
    case 'DATE':
      return textOf(item, '0040A121')
    case 'TIME':
      return textOf(item, '0040A122')
    case 'DATETIME':
      return textOf(item, '0040A120')
    case 'UIDREF':
      return textOf(item, '0040A124')
    case 'IMAGE':
    case 'COMPOSITE':
    case 'WAVEFORM':
      return textOf(itemOf(item, '00081199') ?? {}, '00081155')
    default:
      return undefined
  }
}

function meaningOf(item: DicomJson, sequence: string): string | undefined {
  const code = itemOf(item, sequence)
  return code && textOf(code, '00080104')
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => entities[character] as string)
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
