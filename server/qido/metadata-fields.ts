import { Buffer } from 'node:buffer'
import type { MetadataPlace } from '../../db/search-metadata.ts'
import type { DicomJson, DicomJsonAttribute } from '../dicom/json-to-xml.ts'
import { readMoving } from '../store/read-moving.ts'
import type { Store } from '../store/store.ts'
import { type Field, requestAttributes, requestAttributesSequence } from './fields.ts'

/**
 * Reads fields from the metadata of an instance, as they were written at receipt.
 *
 * What it does not have is left out. A private attribute comes with its private creator. (QI-A6)
 */
export async function readFields(
  fields: readonly Field[],
  place: MetadataPlace,
  store: Store,
  studiesURL: string,
): Promise<DicomJson> {
  const chunks: Uint8Array[] = []
  for await (const chunk of readMoving(store, place, place.byteLength, place.metadataLength)) {
    chunks.push(chunk)
  }
  const metadata = JSON.parse(Buffer.concat(chunks).toString()) as DicomJson
  const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = place
  const url = `${studiesURL}/${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`
  return absolute(withRequired(pick(metadata, fields)), url)
}

function pick(dataset: DicomJson, fields: readonly Field[]): DicomJson {
  const byTag = new Map<string, Field[]>()
  for (const [tag, ...rest] of fields as [string, ...string[]][]) {
    byTag.set(tag, [...(byTag.get(tag) ?? []), rest])
  }
  const picked: DicomJson = {}
  for (const [tag, nested] of byTag) {
    const attribute = dataset[tag]
    if (attribute === undefined) continue
    const creator = privateCreator(tag)
    if (creator !== undefined && dataset[creator]) picked[creator] = dataset[creator]
    const isWhole = nested.some((rest) => rest.length === 0)
    picked[tag] = isWhole ? attribute : pickNested(attribute, nested)
  }
  return picked
}

/** What is required of an item is there all the same if it has no value. (PS3.18 Table 10.6.3-4) */
function withRequired(picked: DicomJson): DicomJson {
  const sequence = picked[requestAttributesSequence]
  if (sequence?.Value === undefined) return picked
  const empty = Object.fromEntries(requestAttributes.map((tag) => [tag, { vr: 'SH' }]))
  const items = sequence.Value.map((item) => ({ ...empty, ...(item as DicomJson | null) }))
  return { ...picked, [requestAttributesSequence]: { ...sequence, Value: items } }
}

function pickNested(attribute: DicomJsonAttribute, fields: Field[]): DicomJsonAttribute {
  if (attribute.Value === undefined) return attribute
  return {
    ...attribute,
    Value: attribute.Value.map((item) => pick((item ?? {}) as DicomJson, fields)),
  }
}

/** The element that names the creator of a private one. (PS3.5 7.8.1) */
function privateCreator(tag: string): string | undefined {
  const isPrivate = /^[0-9A-F]{3}[13579BDF](?!00)/.test(tag)
  return isPrivate ? `${tag.slice(0, 4)}00${tag.slice(4, 6)}` : undefined
}

/** Bulk data URIs are stored relative to their instance. */
function absolute(dataset: DicomJson, url: string): DicomJson {
  return Object.fromEntries(
    Object.entries(dataset).map(([tag, attribute]) => [tag, absoluteAttribute(attribute, url)]),
  )
}

function absoluteAttribute(attribute: DicomJsonAttribute, url: string): DicomJsonAttribute {
  if (attribute.BulkDataURI !== undefined) {
    return { ...attribute, BulkDataURI: `${url}/${attribute.BulkDataURI}` }
  }
  if (attribute.vr !== 'SQ' || attribute.Value === undefined) return attribute
  return {
    ...attribute,
    Value: attribute.Value.map((item) => absolute((item ?? {}) as DicomJson, url)),
  }
}
