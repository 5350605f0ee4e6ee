import type { DicomJson, DicomJsonAttribute } from '../dicom/json-to-xml.ts'

/**
 * A data set as JSON, keys ascending at every depth. (JS-01) An object of JavaScript cannot keep that: it puts tags that
 * are decimal numbers without a leading zero, as 20011003, before all others.
 */
export function datasetJson(dataset: DicomJson): string {
  const members = Object.keys(dataset)
    .sort()
    .map((tag) => `"${tag}":${attributeJson(dataset[tag] as DicomJsonAttribute)}`)
  return `{${members.join(',')}}`
}

function attributeJson(attribute: DicomJsonAttribute): string {
  if (attribute.vr !== 'SQ' || attribute.Value === undefined) return JSON.stringify(attribute)
  const items = attribute.Value.map((item) => datasetJson((item ?? {}) as DicomJson))
  return `{"vr":"SQ","Value":[${items.join(',')}]}`
}
