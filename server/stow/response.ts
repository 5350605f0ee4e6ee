import type { Refusal } from '../../db/transfers.ts'
import { toNativeDicomModel } from '../dicom/json-to-xml.ts'
import { dataSetDoesNotMatchWarning } from '../intake/failure-reasons.ts'
import type { StoredInstance, TransferOutcome } from '../intake/outcome.ts'
import { closing, newBoundary, partHeader } from '../multipart/multipart-writer.ts'
import type { AnswerType } from './request.ts'

type Element = { vr: string; Value?: unknown[] }
type Dataset = Record<string, Element>

/**
 * The status of a request that was read to its end. (PS3.18 Table 10.5.3-1; 1.6 of the checklist)
 *
 * | outcome | status |
 * | --- | --- |
 * | all stored | 200 |
 * | all stored, some with a warning; or, lenient, some refused | 202 |
 * | none stored | 409 |
 */
export function statusOf(outcome: TransferOutcome): 200 | 202 | 409 {
  if (outcome.stored.length === 0) return 409
  const isPlain =
    outcome.refused.length === 0 && outcome.stored.every((s) => s.warning === undefined)
  return isPlain ? 200 : 202
}

/** The Store Instances Response Module (PS3.18 Table I.1-1). */
interface ResponseModule {
  retrieveURL: Element
  /** By tag. Their items are made when they are taken, for there may be 100,000. */
  sequences: [tag: string, items: Iterable<Dataset>][]
}

/**
 * Sequences without an item are left out. A refused part whose UIDs could not be read is told by its
 * Failure Reason alone, in Other Failures Sequence.
 *
 * @param studiesURL `https://…/dicom-web/studies`
 */
export function responseModule(outcome: TransferOutcome, studiesURL: string): ResponseModule {
  const tied = outcome.refused.filter((r) => r.sopClassUID && r.sopInstanceUID)
  const others = outcome.refused.filter((r) => !(r.sopClassUID && r.sopInstanceUID))
  const study = onlyStudyOf(outcome)
  const sequences: ResponseModule['sequences'] = []
  if (tied.length > 0) sequences.push(['00081198', itemsOf(tied, failedItem)])
  if (outcome.stored.length > 0) {
    const items = itemsOf(outcome.stored, (one) => storedItem(one, studiesURL))
    sequences.push(['00081199', items])
  }
  if (others.length > 0) sequences.push(['0008119A', itemsOf(others, untiedItem)])
  return {
    retrieveURL: element('UR', study === undefined ? [] : [`${studiesURL}/${study}`]),
    sequences,
  }
}

/** The one study that was stored to, if it was one. */
export function onlyStudyOf({ stored }: TransferOutcome): string | undefined {
  const first = stored[0]?.studyInstanceUID
  return stored.every((s) => s.studyInstanceUID === first) ? first : undefined
}

/** The module in the form that was asked for, piece by piece, and what that form is called. */
export function encode(
  module: ResponseModule,
  type: AnswerType,
): { contentType: string; pieces: Iterable<string> } {
  if (type === 'json') return { contentType: 'application/dicom+json', pieces: toJSON(module) }
  const xml = toNativeDicomModel(toDataset(module) as Parameters<typeof toNativeDicomModel>[0])
  if (type === 'xml') return { contentType: 'application/dicom+xml', pieces: [xml] }
  const boundary = newBoundary()
  const header = partHeader(boundary, [['Content-Type', 'application/dicom+xml']], true)
  return {
    contentType: `multipart/related; type="application/dicom+xml"; boundary=${boundary}`,
    pieces: [header.toString(), xml, closing(boundary).toString()],
  }
}

function* toJSON({ retrieveURL, sequences }: ResponseModule): Generator<string> {
  yield `{"00081190":${JSON.stringify(retrieveURL)}`
  for (const [tag, items] of sequences) {
    let before = `,"${tag}":{"vr":"SQ","Value":[`
    for (const item of items) {
      yield before + JSON.stringify(item)
      before = ','
    }
    yield ']}'
  }
  yield '}'
}

function toDataset({ retrieveURL, sequences }: ResponseModule): Dataset {
  return {
    '00081190': retrieveURL,
    ...Object.fromEntries(sequences.map(([tag, items]) => [tag, element('SQ', [...items])])),
  }
}

function* itemsOf<T>(list: T[], toItem: (one: T) => Dataset): Generator<Dataset> {
  for (const one of list) yield toItem(one)
}

function storedItem(one: StoredInstance, studiesURL: string): Dataset {
  const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = one
  const url = `${studiesURL}/${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`
  return {
    '00081150': element('UI', [one.sopClassUID]),
    '00081155': element('UI', [sopInstanceUID]),
    '00081190': element('UR', [url]),
    ...(one.warning === undefined
      ? {}
      : { '00081196': element('US', [dataSetDoesNotMatchWarning]) }),
  }
}

function failedItem(one: Refusal): Dataset {
  return {
    '00081150': element('UI', [one.sopClassUID]),
    '00081155': element('UI', [one.sopInstanceUID]),
    '00081197': element('US', [one.failureReason]),
  }
}

function untiedItem(one: Refusal): Dataset {
  return { '00081197': element('US', [one.failureReason]) }
}

function element(vr: string, values: unknown[]): Element {
  return values.length === 0 ? { vr } : { vr, Value: values }
}
