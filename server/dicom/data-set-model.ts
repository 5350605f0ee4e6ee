/**
 * One data set as metadata tell it, in DICOM JSON or Native DICOM XML alike: its attributes as they came, neither
 * sorted nor checked against each other.
 */
export type ModelDataSet = ModelAttribute[]

export interface ModelAttribute {
  tag: number
  /** One of the 34. */
  vr: string
  /** Of a sequence its items; else texts, numbers, names, and null for an empty value among others. */
  values: readonly ModelValue[]
  binary?: Uint8Array
  bulkDataURI?: string
  /** Of XML, where a private tag has block 00 and names its creator (JS-22). */
  privateCreator?: string
}

export type ModelValue = null | string | NumberText | PersonName | ModelDataSet

/** A number of JSON with its digits as they stand: a double does not hold them all (JS-14, JS-15). */
export class NumberText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** The component groups of a Person Name (PS3.5 6.2.1; JS-07). */
export class PersonName {
  readonly groups: [alphabetic: string, ideographic: string, phonetic: string]

  constructor(alphabetic: string, ideographic: string, phonetic: string) {
    this.groups = [alphabetic, ideographic, phonetic]
  }
}

export function attributeOf(dataSet: ModelDataSet, tag: number): ModelAttribute | undefined {
  return dataSet.find((attribute) => attribute.tag === tag)
}

/** The first value of an attribute as text; undefined where there is none. */
export function textOf(dataSet: ModelDataSet, tag: number): string | undefined {
  const value = attributeOf(dataSet, tag)?.values[0]
  if (value instanceof NumberText) return value.text
  return typeof value === 'string' ? value : undefined
}
