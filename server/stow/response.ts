import type { Refusal } from '../../db/transfers.ts'
import { toNativeDicomModel } from '../dicom/json-to-xml.ts'
import { dataSetDoesNotMatchWarning } from '../intake/failure-reasons.ts'
import type { StoredInstance, TransferOutcome } from '../intake/transfer.ts'
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

/**
 * The Store Instances Response Module (PS3.18 Table I.1-1).
 *
 * Sequences without an item are left out. A refused part whose UIDs could not be read is told by its
 * Failure Reason alone, in Other Failures Sequence.
 *
 * @param studiesURL `https://…/dicom-web/studies`
 */
export function responseModule(outcome: TransferOutcome, studiesURL: string): Dataset {
  const tied = outcome.refused.filter((r) => r.sopClassUID && r.sopInstanceUID)
  const others = outcome.refused.filter((r) => !(r.sopClassUID && r.sopInstanceUID))
  const study = onlyStudyOf(outcome)
  return {
    '00081190': element('UR', study === undefined ? [] : [`${studiesURL}/${study}`]),
    ...sequence('00081198', tied.map(failedItem)),
    ...sequence(
      '00081199',
      outcome.stored.map((one) => storedItem(one, studiesURL)),
    ),
    ...sequence(
      '0008119A',
      others.map((one) => ({ '00081197': element('US', [one.failureReason]) })),
    ),
  }
}

/** The one study that was stored to, if it was one. */
export function onlyStudyOf({ stored }: TransferOutcome): string | undefined {
  const first = stored[0]?.studyInstanceUID
  return stored.every((s) => s.studyInstanceUID === first) ? first : undefined
}

/** The module in the form that was asked for, and what that form is called. */
export function encode(
  module: Dataset,
  type: AnswerType,
): { contentType: string; body: string | Uint8Array<ArrayBuffer> } {
  if (type === 'json') {
    return { contentType: 'application/dicom+json', body: JSON.stringify(module) }
  }
  const xml = toNativeDicomModel(module as Parameters<typeof toNativeDicomModel>[0])
  if (type === 'xml') return { contentType: 'application/dicom+xml', body: xml }
  const boundary = newBoundary()
  const header = partHeader(boundary, [['Content-Type', 'application/dicom+xml']], true)
  return {
    contentType: `multipart/related; type="application/dicom+xml"; boundary=${boundary}`,
    body: new Uint8Array(Buffer.concat([header, Buffer.from(xml), closing(boundary)])),
  }
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

function sequence(tag: string, items: Dataset[]): Dataset {
  return items.length === 0 ? {} : { [tag]: element('SQ', items) }
}

function element(vr: string, values: unknown[]): Element {
  return values.length === 0 ? { vr } : { vr, Value: values }
}
