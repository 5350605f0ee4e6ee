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
import {
  type JsonMember,
  JsonObject,
  type JsonValue,
  MetadataSyntaxError,
  parseJson,
} from './json-text.ts'
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
  for (const member of json.all()) {
    try {
      reading.dataSet.push(attributeFromJson(member))
    } catch (error) {
      if (!(error instanceof MetadataError)) throw error
      reading.error ??= error
    }
  }
  return reading
}

function attributeFromJson({ name: key, value: object }: JsonMember): ModelAttribute {
  if (!/^[0-9A-Fa-f]{8}$/.test(key)) {
    throw new MetadataError('a key of the metadata is not a tag of eight hexadecimal digits')
  }
  const tag = Number.parseInt(key, 16)
  if (!(object instanceof JsonObject)) throw wrong(tag, 'is not an object')
  let vr: JsonValue | undefined
  let content: JsonValue | undefined
  let contentName: string | undefined
  for (let member = object.first; member !== undefined; member = member.next) {
    const { name, value } = member
    if (name === 'vr') {
      if (vr !== undefined) throw wrong(tag, 'has two members of the name vr')
      vr = value
    } else if (name === 'Value' || name === 'InlineBinary' || name === 'BulkDataURI') {
      if (contentName !== undefined) {
        throw wrong(tag, 'has more than one of Value, InlineBinary and BulkDataURI')
      }
      contentName = name
      content = value
    }
  }
  return withContent({ tag, vr: knownVR(tag, vr), values: none }, contentName, content)
}

const none: ModelValue[] = []

function withContent(
  attribute: ModelAttribute,
  name: string | undefined,
  content: JsonValue | undefined,
): ModelAttribute {
  const { tag, vr } = attribute
  if (name === undefined) return attribute
  if (name === 'InlineBinary') {
    attribute.binary = binaryFromJson(tag, content as JsonValue)
  } else if (name === 'BulkDataURI') {
    if (typeof content !== 'string') throw wrong(tag, 'has a BulkDataURI that is not a string')
    attribute.bulkDataURI = content
  } else {
    if (!Array.isArray(content)) throw wrong(tag, 'has a Value that is not an array')
    // In place: what was parsed is not needed any more, and may be large.
    const values = content as ModelValue[]
    for (const [index, value] of content.entries()) values[index] = valueFromJson(tag, vr, value)
    attribute.values = values
  }
  return attribute
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
    if (json instanceof JsonObject) return itemFromJson(json)
    throw wrong(tag, 'has an item that is not an object')
  }
  if (json === null || typeof json === 'string' || json instanceof NumberText) return json
  if (vr === 'PN' && json instanceof JsonObject) return nameFromJson(tag, json)
  throw wrong(tag, 'has a value that its VR cannot have')
}

function itemFromJson(object: JsonObject): ModelDataSet {
  const dataSet: ModelDataSet = new Array(object.count)
  let index = 0
  for (let member = object.first; member !== undefined; member = member.next) {
    dataSet[index++] = attributeFromJson(member)
  }
  return dataSet
}

const groups = ['Alphabetic', 'Ideographic', 'Phonetic']

function nameFromJson(tag: number, object: JsonObject): PersonName {
  const found = ['', '', '']
  for (const { name, value } of object.all()) {
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
