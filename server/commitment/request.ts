import type { AskedInstance, CommitmentForm } from '../../db/commitments.ts'
import { attributeOf, type ModelDataSet, textOf } from '../dicom/data-set-model.ts'
import { failureReasons } from '../dicom/errors.ts'
import { DICOMDIR } from '../dicom/identity.ts'
import { decodeJson } from '../dicom/json-text.ts'
import { readInstanceXml } from '../dicom/model-from-xml.ts'
import { padding, trimEndOf } from '../dicom/trim.ts'
import { isUID } from '../dicom/uid.ts'
import { decodeXml } from '../dicom/xml-encoding.ts'
import { HttpProblem } from '../http/problem.ts'
import { parseMediaType } from '../multipart/media-type.ts'

export type Model = 'json' | 'xml'

/** What a request asks for, in its order. */
export interface Asked {
  form: CommitmentForm
  instances: AskedInstance[]
}

const models = new Map<string, Model>([
  ['application/dicom+json', 'json'],
  ['application/json', 'json'],
  ['application/dicom+xml', 'xml'],
])

/** @throws {HttpProblem} 415 none, or another (SC-R4) */
export function parseModel(contentType: string | null): Model {
  const type = contentType?.trim() ? parseMediaType(contentType).type : undefined
  const model = type === undefined ? undefined : models.get(type)
  if (model !== undefined) return model
  const taken = 'application/dicom+json, application/dicom+xml'
  const reason =
    type === undefined ? 'the request has no Content-Type' : `its Content-Type is "${type}"`
  throw new HttpProblem(415, `Cannot take this commitment request: ${reason}; send ${taken}`, {
    headers: { accept: taken },
  })
}

/**
 * Reads the Storage Commitment Request Module, of either form.
 *
 * @throws {HttpProblem} 400 it is none, it is empty, an instance is there twice; says what and where
 * @throws {MetadataSyntaxError} no JSON or XML → 400
 * @see PS3.18 13.4.1.3, J.1; PS3.4 J.3.2.1.1.3; checklist 4.2
 */
export function readRequest(bytes: Uint8Array, model: Model): Asked {
  const dataSet = model === 'xml' ? fromXML(bytes) : fromJSON(bytes)
  const flat = attributeOf(dataSet, 0x00081199)
  const byStudy = attributeOf(dataSet, 0x00081110)
  if (flat !== undefined && byStudy !== undefined) {
    throw bad('it has both Referenced SOP Sequence and Referenced Study Sequence; send one')
  }
  if (flat === undefined && byStudy === undefined) {
    throw bad('it has neither Referenced SOP Sequence nor Referenced Study Sequence')
  }
  const instances = [...(flat === undefined ? studiesOf(dataSet) : flatOf(dataSet))]
  const seen = new Set<string>()
  for (const { sopInstanceUID } of instances) {
    if (seen.has(sopInstanceUID)) throw bad(`instance ${sopInstanceUID} is listed twice`)
    seen.add(sopInstanceUID)
  }
  return { form: flat === undefined ? 'study' : 'flat', instances }
}

function fromXML(bytes: Uint8Array): ModelDataSet {
  const { dataSet, error } = readInstanceXml(decodeXml(bytes))
  if (error !== undefined) throw bad(error.message.replace('Cannot read instance: ', ''))
  return dataSet
}

/**
 * One object (B.27); an array of one is taken, too. Parsed by the runtime, five times as fast as our own reader of
 * metadata: there are no numbers here whose digits count, only sequences and UIDs, and those are looked at one by one.
 */
function fromJSON(bytes: Uint8Array): ModelDataSet {
  const text = decodeJson(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // What the runtime says may quote the body.
    throw bad('its body is no JSON')
  }
  if (!Array.isArray(value)) return dataSetOf(value, 0)
  if (value.length === 1) return dataSetOf(value[0], 0)
  throw bad(`it is an array of ${value.length} objects`)
}

/** Sequences inside each other: a request by study has four. */
const deepestSequence = 16

function dataSetOf(json: unknown, depth: number): ModelDataSet {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw bad(depth === 0 ? 'it is no object' : 'an item of a sequence is no object')
  }
  if (depth > deepestSequence) throw bad('its sequences are nested too deep')
  return Object.entries(json).map(([key, attribute]) => {
    const { vr, Value = [] } = (attribute ?? {}) as { vr?: unknown; Value?: unknown }
    if (!/^[0-9A-Fa-f]{8}$/.test(key) || typeof vr !== 'string' || !Array.isArray(Value)) {
      throw bad('a member of it is no attribute of the DICOM JSON model')
    }
    const values =
      vr === 'SQ'
        ? Value.map((item) => dataSetOf(item, depth + 1))
        : Value.map((one) => (typeof one === 'string' ? one : null))
    return { tag: Number.parseInt(key, 16), vr, values }
  })
}

function* flatOf(dataSet: ModelDataSet): Generator<AskedInstance> {
  for (const [item, where] of itemsOf(dataSet, 0x00081199, 'Referenced SOP Sequence', '')) {
    const sopClassUID = uidOf(item, 0x00081150, 'Referenced SOP Class UID', where)
    const sopInstanceUID = uidOf(item, 0x00081155, 'Referenced SOP Instance UID', where)
    yield withReason({ sopClassUID, sopInstanceUID })
  }
}

function* studiesOf(dataSet: ModelDataSet): Generator<AskedInstance> {
  const studies = itemsOf(dataSet, 0x00081110, 'Referenced Study Sequence', '')
  for (const [study, ofStudy] of studies) {
    const studyInstanceUID = uidOf(study, 0x0020000d, 'Study Instance UID', ofStudy)
    const listed = itemsOf(study, 0x00081115, 'Referenced Series Sequence', ofStudy)
    for (const [series, ofSeries] of listed) {
      const seriesInstanceUID = uidOf(series, 0x0020000e, 'Series Instance UID', ofSeries)
      for (const one of instancesOf(series, ofSeries)) {
        yield withReason({ studyInstanceUID, seriesInstanceUID, ...one })
      }
    }
  }
}

function* instancesOf(series: ModelDataSet, where: string): Generator<AskedInstance> {
  const name = 'Referenced Instances by SOP Class Sequence'
  for (const [group, ofGroup] of itemsOf(series, 0x00081112, name, where)) {
    const sopClassUID = uidOf(group, 0x00081150, 'Referenced SOP Class UID', ofGroup)
    const references = itemsOf(group, 0x0008114a, 'Referenced Instance Sequence', ofGroup)
    for (const [reference, ofReference] of references) {
      const own = textOf(reference, 0x00081150)
      if (own !== undefined && own !== sopClassUID) {
        throw bad(`${ofReference} has another Referenced SOP Class UID than the item around it`)
      }
      const sopInstanceUID = uidOf(
        reference,
        0x00081155,
        'Referenced SOP Instance UID',
        ofReference,
      )
      yield { sopClassUID, sopInstanceUID }
    }
  }
}

/** Items, each with its place for a message. @throws {HttpProblem} 400 there are none */
function* itemsOf(
  dataSet: ModelDataSet,
  tag: number,
  name: string,
  where: string,
): Generator<[ModelDataSet, string]> {
  const attribute = attributeOf(dataSet, tag)
  const owner = where === '' ? 'it' : where
  if (attribute === undefined) throw bad(`${owner} has no ${name}`)
  if (attribute.vr !== 'SQ') throw bad(`the ${name} of ${owner} is no sequence`)
  if (attribute.values.length === 0) throw bad(`the ${name} of ${owner} is empty`)
  for (const [index, item] of attribute.values.entries()) {
    const place = `item ${index + 1} of ${name}${where === '' ? '' : ` in ${where}`}`
    yield [item as ModelDataSet, place]
  }
}

function uidOf(item: ModelDataSet, tag: number, name: string, where: string): string {
  const attribute = attributeOf(item, tag)
  if (attribute === undefined || attribute.values.length === 0) throw bad(`${where} has no ${name}`)
  if (attribute.values.length > 1) throw bad(`the ${name} of ${where} has several values`)
  // The padding of a file has no place here, but some leave it.
  const uid = trimEndOf(textOf(item, tag) ?? '', padding)
  if (!isUID(uid)) throw bad(`the ${name} of ${where} is no UID`)
  return uid
}

function withReason(one: AskedInstance): AskedInstance {
  if (one.sopClassUID !== DICOMDIR) return one
  return { ...one, failureReason: failureReasons.sopClassNotSupported }
}

function bad(reason: string): HttpProblem {
  return new HttpProblem(400, `Cannot take this commitment request: ${reason}`)
}
