import { Buffer } from 'node:buffer'
import { type ModelAttribute, type ModelDataSet, PersonName } from '../dicom/data-set-model.ts'
import { writePart10 } from '../dicom/part10-writer.ts'

/** A tag, its VR and its values: binary, numbers and texts alike, names as `Family^Given`, or items. */
export type Entry = [tag: number, vr: string, ...values: (string | number | Uint8Array | Entry[])[]]

/** A PS3.10 file in Explicit VR Little Endian. */
export function part10(entries: Entry[]): Buffer {
  const pieces = writePart10(modelOf(entries), () => {
    throw new Error('there is no bulk data here')
  })
  return Buffer.concat(pieces as Uint8Array[])
}

function modelOf(entries: Entry[]): ModelDataSet {
  return entries.map(attributeOf)
}

function attributeOf([tag, vr, ...values]: Entry): ModelAttribute {
  const [first] = values
  if (first instanceof Uint8Array) return { tag, vr, values: [], binary: first }
  return {
    tag,
    vr,
    values: values.map((value) => {
      if (Array.isArray(value)) return modelOf(value)
      return vr === 'PN' ? new PersonName(String(value), '', '') : String(value)
    }),
  }
}
