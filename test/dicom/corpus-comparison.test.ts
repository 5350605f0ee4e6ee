import { describe, expect, test } from 'vitest'
import { differences, modelOf, normalised, pixelDataHeader } from '../support/dicom-comparison.ts'
import {
  corpusFile,
  corpusFiles,
  dcm2json,
  pydicomJson,
  whyNoCorpus,
  whyNoReaders,
} from '../support/dicom-corpus.ts'

const missing = whyNoCorpus() ?? whyNoReaders()

const noKanji = 'has no ISO 2022 IR 87 where iconv has none'

/** What pydicom says otherwise, once `normalised` has taken out the ways of writing: file, tags, and who is right. */
const pydicomDiffers: Record<string, string[]> = {
  // Number of Frames is no number: pydicom leaves the element out, here it is a string (JS-14).
  'pydicom/badVR.dcm': ['00280008'],
}

/** What dcmtk says otherwise. */
const dcmtkDiffers: Record<string, string[]> = {
  // The item has a character set of its own, which dcmtk does not use where the root has UTF-8 (JS-18).
  'pydicom/charset/chrSQEncoding.dcm': ['00321064.1.00100010'],
  // A UN value of odd length, which dcmtk pads (JS-25).
  'pydicom/nested_priv_SQ.dcm': ['00010001.1.00010002'],
}

/** Files that dcm2json cannot turn into JSON, and why. */
const dcmtkCannot: Record<string, string> = {
  'dicom-test-files/pydicom/explicit_VR-UN.dcm':
    'takes a Specific Character Set of VR UN for bytes',
  'pydicom/J2K_pixelrep_mismatch.dcm': noKanji,
  'pydicom/charset/chrH31.dcm': noKanji,
  'pydicom/charset/chrH32.dcm': noKanji,
  'pydicom/charset/chrJapMulti.dcm': noKanji,
  'pydicom/charset/chrJapMultiExplicitIR6.dcm': noKanji,
  'pydicom/charset/chrSQEncoding1.dcm': noKanji,
}

describe.skipIf(missing !== undefined)('the metadata of every readable file', () => {
  const readable = missing === undefined ? corpusFiles().filter(isReadable) : []

  test('is the JSON of pydicom', () => {
    const theirs = pydicomJson(readable)
    const found: Record<string, string[]> = {}
    for (const path of readable) {
      const model = modelOf(corpusFile(path))
      const json = theirs.get(path)
      const tags =
        json === undefined
          ? ['unreadable']
          : differences(
              normalised(model.json, { file: model.file, bulkIsBigEndian: model.bigEndian }),
              normalised(json, { inlineIsBigEndian: model.bigEndian }),
            )
      if (tags.length > 0) found[path] = tags
    }
    expect(readable.length).toBeGreaterThan(230)
    expect(found).toEqual(pydicomDiffers)
  })

  // dcm2json refuses compressed pixel data, so it gets the file up to it.
  test('is the JSON of dcmtk, up to the pixel data', () => {
    const found: Record<string, string[]> = {}
    const cannot: string[] = []
    for (const path of readable) {
      const file = corpusFile(path)
      const model = modelOf(file)
      const isDeflated = model.file !== file
      const json = dcm2json(isDeflated ? file : file.subarray(0, pixelDataHeader(model)))
      if (json === undefined) cannot.push(path)
      else {
        const before = (all: typeof json) =>
          Object.fromEntries(Object.entries(all).filter(([tag]) => isDeflated || tag < '7FE00010'))
        const tags = differences(
          before(normalised(model.json, { file: model.file, bulkIsBigEndian: model.bigEndian })),
          before(normalised(json, {})),
        )
        if (tags.length > 0) found[path] = tags
      }
    }
    expect(found).toEqual(dcmtkDiffers)
    // Another dcmtk may be able to.
    expect(Object.keys(dcmtkCannot)).toEqual(expect.arrayContaining(cannot))
  }, 120_000)
})

function isReadable(path: string): boolean {
  try {
    modelOf(corpusFile(path))
    return true
  } catch {
    return false
  }
}
