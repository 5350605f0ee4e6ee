import { Buffer } from 'node:buffer'
import type { ModelDataSet } from '../../server/dicom/data-set-model.ts'
import { DicomError } from '../../server/dicom/errors.ts'
import { toNativeDicomModel } from '../../server/dicom/json-to-xml.ts'
import { readInstanceJson } from '../../server/dicom/model-from-json.ts'
import { readInstanceXml } from '../../server/dicom/model-from-xml.ts'
import { type BulkDataOf, writePart10 } from '../../server/dicom/part10-writer.ts'
import type { DicomJson } from './dicom-reading.ts'

/** The data set that JSON, as an object or as text, tells of. Throws what is wrong with it. */
export function dataSetOfJson(json: DicomJson | string): ModelDataSet {
  const text = typeof json === 'string' ? json : JSON.stringify(json)
  const { dataSet, error } = readInstanceJson(text)
  if (error !== undefined) throw error
  return dataSet
}

export function dataSetOfXml(xml: string): ModelDataSet {
  const { dataSet, error } = readInstanceXml(xml)
  if (error !== undefined) throw error
  return dataSet
}

/** The same metadata as a Native DICOM Model document. */
export function xmlOf(json: DicomJson): string {
  return toNativeDicomModel(json as Parameters<typeof toNativeDicomModel>[0])
}

const noBulkData: BulkDataOf = () => {
  throw new Error('no bulk data here')
}

/**
 * The file that is made of a data set.
 *
 * @param bulkData What the ranges of `bulkDataOf` are in.
 */
export function fileOf(
  dataSet: ModelDataSet,
  bulkData: Uint8Array = new Uint8Array(),
  bulkDataOf: BulkDataOf = noBulkData,
): Buffer {
  return Buffer.concat(
    writePart10(dataSet, bulkDataOf).map((piece) =>
      piece instanceof Uint8Array
        ? piece
        : bulkData.subarray(piece.offset, piece.offset + piece.length),
    ),
  )
}

/** What stands against it: the error's name, Failure Reason and message. Undefined when a file can be made. */
export function objectionOf(make: () => unknown): [string, number, string] | undefined {
  try {
    make()
    return undefined
  } catch (error) {
    if (!(error instanceof DicomError)) throw error
    return [error.name, error.failureReason, error.message]
  }
}
