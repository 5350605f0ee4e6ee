import type { Buffer } from 'node:buffer'
import { tagName } from './bytes.ts'
import {
  type ModelAttribute,
  type ModelDataSet,
  type ModelValue,
  NumberText,
  PersonName,
} from './data-set-model.ts'
import { type DicomError, MetadataError } from './errors.ts'
import { JsonObject, type JsonValue, MetadataSyntaxError, parseJson } from './json-text.ts'
import { decodeBase64, knownVR } from './model-checks.ts'

/** What metadata say, and what is wrong with them: the first attribute that cannot be read. */
export interface ModelReading {
  /** Without the attributes of the root that cannot be read. */
  dataSet: ModelDataSet
  error: DicomError | undefined
}

/**
 * Reads the DICOM JSON model of one instance: an object of attributes by tag. Texts and numbers stay as they are: what
 * they mean is for whoever writes them by their VR.
 *
 * The `error` is a {@link MetadataError}: a key that is no tag, no or an unknown `vr`, more than one of `Value`,
 * `InlineBinary` and `BulkDataURI`, something else than Annex F allows → refusal 0xC000
 *
 * @throws {MetadataSyntaxError} this is no JSON object → 400 for the whole request
 * @see PS3.18 Annex F.2; JS-01 to JS-08, JS-27
 */
export function readInstanceJson(text: string): ModelReading {
  const json = parseJson(text)
  if (!(json instanceof JsonObject)) {
    throw new MetadataSyntaxError('Cannot read metadata: an instance is not a JSON object')
  }
  const reading: ModelReading = { dataSet: [], error: undefined }
  for (const member of json.members) {
    try {
      reading.dataSet.push(attributeFromJson(...member))
    } catch (error) {
      if (!(error instanceof MetadataError)) throw error
      reading.error ??= error
    }
  }
  return reading
}

function attributeFromJson(key: string, object: JsonValue): ModelAttribute {
  if (!/^[0-9A-Fa-f]{8}$/.test(key)) {
    throw new MetadataError('a key of the metadata is not a tag of eight hexadecimal digits')
  }
  const tag = Number.parseInt(key, 16)
  if (!(object instanceof JsonObject)) throw wrong(tag, 'is not an object')
  const members = new Map(object.members)
  if (members.size < object.members.length) throw wrong(tag, 'names a member twice')
  const vr = knownVR(tag, members.get('vr'))
  const [values, binary, bulkDataURI] = ['Value', 'InlineBinary', 'BulkDataURI'].map((name) =>
    members.get(name),
  )
  if ([values, binary, bulkDataURI].filter((one) => one !== undefined).length > 1) {
    throw wrong(tag, 'has more than one of Value, InlineBinary and BulkDataURI')
  }
  if (binary !== undefined) return { tag, vr, values: [], binary: binaryFromJson(tag, binary) }
  if (bulkDataURI !== undefined) {
    if (typeof bulkDataURI !== 'string') throw wrong(tag, 'has a BulkDataURI that is not a string')
    return { tag, vr, values: [], bulkDataURI }
  }
  if (values === undefined) return { tag, vr, values: [] }
  if (!Array.isArray(values)) throw wrong(tag, 'has a Value that is not an array')
  return { tag, vr, values: values.map((value) => valueFromJson(tag, vr, value)) }
}

/** One string; the example of F.4 prints an array of one, so that is taken too (JS-08). */
function binaryFromJson(tag: number, json: JsonValue): Buffer {
  const text = Array.isArray(json) && json.length === 1 ? json[0] : json
  if (typeof text !== 'string') throw wrong(tag, 'has an InlineBinary that is not a string')
  return decodeBase64(tag, text)
}

function valueFromJson(tag: number, vr: string, json: JsonValue): ModelValue {
  if (vr === 'SQ') {
    if (json === null) return []
    if (json instanceof JsonObject) return json.members.map((one) => attributeFromJson(...one))
    throw wrong(tag, 'has an item that is not an object')
  }
  if (json === null || typeof json === 'string' || json instanceof NumberText) return json
  if (vr === 'PN' && json instanceof JsonObject) return nameFromJson(tag, json)
  throw wrong(tag, 'has a value that its VR cannot have')
}

const groups = ['Alphabetic', 'Ideographic', 'Phonetic']

function nameFromJson(tag: number, object: JsonObject): PersonName {
  const found = ['', '', '']
  for (const [name, value] of object.members) {
    const group = groups.indexOf(name)
    if (group === -1 || !(value === null || typeof value === 'string')) {
      throw wrong(tag, 'has a name with something else than Alphabetic, Ideographic and Phonetic')
    }
    found[group] = value ?? ''
  }
  return new PersonName(...(found as [string, string, string]))
}

function wrong(tag: number, reason: string): MetadataError {
  return new MetadataError(`element ${tagName(tag)} ${reason}`)
}
