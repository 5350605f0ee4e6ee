import { describe, expect, test } from 'vitest'
import type { ModelDataSet } from '../../server/dicom/data-set-model.ts'
import { differences, type Model, modelOf, normalised } from '../support/dicom-comparison.ts'
import { corpusFile, corpusFiles, whyNoCorpus } from '../support/dicom-corpus.ts'
import type { DicomJson } from '../support/dicom-reading.ts'
import { dataSetOfJson, dataSetOfXml, fileOf, xmlOf } from '../support/metadata-file.ts'

const why = whyNoCorpus()

/** Those with a structure that can be read. */
function readable(): [string, Model][] {
  return corpusFiles().flatMap((path): [string, Model][] => {
    try {
      return [[path, modelOf(corpusFile(path))]]
    } catch {
      return []
    }
  })
}

/** The file made of the metadata of another, whose bulk data are ranges of that. */
function remade(dataSet: ModelDataSet, { file }: Model): Model {
  return modelOf(
    fileOf(dataSet, file, ({ bulkDataURI }) => {
      const [offset = 0, length = 0] = (bulkDataURI?.split('/').at(-1) ?? '').split('-').map(Number)
      return { ranges: [{ offset, length }] }
    }),
  )
}

/** Bulk data of big endian files are big endian, as in their file, and text of them in its own character set. */
const comparable = ({ bigEndian }: Model) => !bigEndian

/** Has a value of 9 bytes, which was padded to 10 (DV-21, JS-25). */
const withOddLength = ['pydicom/nested_priv_SQ.dcm']

describe.skipIf(why !== undefined)('The metadata of every file of the corpus', () => {
  const files = why === undefined ? readable().filter(([, model]) => comparable(model)) : []

  test('are many', () => {
    expect(files.length).toBeGreaterThan(200)
  })

  test.each([
    ['JSON', (json: DicomJson) => dataSetOfJson(json)],
    ['XML', (json: DicomJson) => dataSetOfXml(xmlOf(json))],
  ])('become, from %s, a file that says the same, element by element', (_, read) => {
    const differing: Record<string, string[]> = {}
    for (const [path, model] of files) {
      const again = remade(read(model.json), model)
      const found = differences(
        normalised(model.json, { file: model.file }),
        normalised(again.json, { file: again.file }),
      )
      if (found.length > 0) differing[path] = found
    }
    expect(Object.keys(differing)).toEqual(withOddLength)
  })

  test('from JSON are, but for the places of bulk data, even the same JSON', () => {
    const placeless = (json: DicomJson) =>
      JSON.stringify(json).replaceAll(/"BulkDataURI":"[^"]*-(\d+)"/g, '"bytes":$1')
    const differing = files.filter(([, model]) => {
      const again = remade(dataSetOfJson(model.json), model)
      const { '00080005': _, ...ours } = model.json
      const { '00080005': __, ...theirs } = again.json
      return placeless(ours) !== placeless(theirs)
    })
    expect(differing.map(([path]) => path)).toEqual(withOddLength)
  })
})
