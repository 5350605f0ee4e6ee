import type { DicomJson, DicomJsonAttribute } from '../dicom/json-to-xml.ts'

/** A value that metadata name by a BulkDataURI. */
export interface BulkData {
  /** `7FE00010/1024-524288`: what stands behind `bulkdata/`. */
  name: string
  vr: string
  offset: number
  length: number
  /** In which it lies: the root, or an item. */
  dataSet: DicomJson
}

/** Every BulkDataURI of a data set, items included. */
export function bulkDataOf(model: DicomJson): BulkData[] {
  const found: BulkData[] = []
  for (const attribute of Object.values(model)) {
    if (attribute.vr === 'SQ') {
      for (const item of attribute.Value ?? []) found.push(...bulkDataOf((item ?? {}) as DicomJson))
    }
    const value = bulkDataAt(attribute)
    if (value !== undefined) found.push({ ...value, dataSet: model })
  }
  return found
}

function bulkDataAt({
  vr,
  BulkDataURI,
}: DicomJsonAttribute): Omit<BulkData, 'dataSet'> | undefined {
  const [, name, offset, length] = /bulkdata\/(.+\/(\d+)-(\d+))$/.exec(BulkDataURI ?? '') ?? []
  if (name === undefined) return undefined
  return { name, vr, offset: Number(offset), length: Number(length) }
}

/** Whether it is the pixel data of an item, as of Icon Image Sequence, by its name. */
export function isPixelDataOfItem(name: string): boolean {
  return /\.7FE00010\//.test(name)
}
