import { describe, expect, test } from 'vitest'
import { differences, type Model, modelOf, normalised, pixelDataHeader, type Source } from '../support/dicom-comparison.ts'
import {
  corpusFile,
  corpusFiles,
  dcm2json,
  pydicomJson,
  whyNoCorpus,
  whyNoReaders,
} from '../support/dicom-corpus.ts'

const missing = whyNoCorpus() ?? whyNoReaders()

/** What pydicom says otherwise, once `normalised` has taken out the ways of writing: file, tags, and who is right. */
const pydicomDiffers: Record<string, string[]> = {}

/** What dcmtk says otherwise. */
const dcmtkDiffers: Record<string, string[]> = {}

/** Files that dcm2json cannot turn into JSON, and why. */
const dcmtkCannot: Record<string, string> = {}

describe.skipIf(missing !== undefined)('the metadata of every readable file', () => {
  const readable = missing === undefined ? corpusFiles().filter(isReadable) : []

  test('is the JSON of pydicom', () => {
    const theirs = pydicomJson(readable)
    const found: Record<string, string[]> = {}
    for (const path of readable) {
      const model = modelOf(corpusFile(path))
      const json = theirs.get(path)
XX      if (tags.length > 0) found[path] = tags
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
          before(normalised(model.json, sourceOf(model))),
          before(normalised(json, {})),
        )
        if (tags.length > 0) found[path] = tags
      }
    }
    expect(found).toEqual(dcmtkDiffers)
    expect(cannot).toEqual(Object.keys(dcmtkCannot))
  }, 120_000)
})

function sourceOf({ file, bigEndian }: Model): Source {
  return { file, bulkIsBigEndian: bigEndian }
}

function isReadable(path: string): boolean {
  try {
    modelOf(corpusFile(path))
    return true
  } catch {
    return false
  }
}
