import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { decodeXml } from '../../server/dicom/xml-encoding.ts'
import { differences, modelOf, normalised } from '../support/dicom-comparison.ts'
import {
  corpusFile,
  corpusFiles,
  dcm2json,
  pydicomJson,
  whyNoCorpus,
  whyNoReaders,
} from '../support/dicom-corpus.ts'
import { type DicomJson, readInstance } from '../support/dicom-reading.ts'
import { dataSetOfJson, dataSetOfXml, fileOf } from '../support/metadata-file.ts'

const isSkipped = whyNoCorpus() !== undefined || whyNoReaders() !== undefined

/** Native DICOM Model with everything inline; undefined when dcmtk cannot write it. */
function dcm2xml(file: Uint8Array): string | undefined {
  const args = ['-q', '-nat', '+Eb', '-']
  const run = spawnSync('dcm2xml', args, { input: file, maxBuffer: 2 ** 28 })
  return run.status === 0 ? decodeXml(run.stdout) : undefined
}

/** Little endian files of moderate size with uncompressed pixel data: other writers have no form for the rest. */
function plainFiles(): [path: string, file: Buffer, json: DicomJson][] {
  return corpusFiles().flatMap((path): [string, Buffer, DicomJson][] => {
    const file = corpusFile(path)
    if (file.length > 1_000_000) return []
    try {
      const model = modelOf(file)
      const { transferSyntaxUID } = readInstance(file)
      const isPlain = ['1.2.840.10008.1.2', '1.2.840.10008.1.2.1'].includes(transferSyntaxUID)
      if (!isPlain) return []
      return [[path, file, normalised(model.json, { file })]]
    } catch {
      return []
    }
  })
}

/** What of a file made of other metadata differs from the file that those are of. */
function differing(
  metadataOf: (path: string, file: Buffer) => ReturnType<typeof dataSetOfJson> | undefined,
  wordsAreBigEndian = false,
): { compared: number; found: Record<string, string[]> } {
  const found: Record<string, string[]> = {}
  let compared = 0
  for (const [path, file, ours] of plainFiles()) {
    try {
      const dataSet = metadataOf(path, file)
      if (dataSet === undefined) continue
      const made = fileOf(dataSet)
      const theirs = normalised(modelOf(made).json, {
        file: made,
        bulkIsBigEndian: wordsAreBigEndian,
        inlineIsBigEndian: wordsAreBigEndian,
      })
      compared++
      const paths = differences(ours, theirs)
      if (paths.length > 0) found[path] = paths
    } catch (error) {
      found[path] = [(error as Error).message]
    }
  }
  return { compared, found }
}

describe.skipIf(isSkipped)('Metadata that others write, of files of the corpus', () => {
  test('dcm2json', { timeout: 120_000 }, () => {
    const { compared, found } = differing((_, file) => {
      const json = dcm2json(file)
      return json && dataSetOfJson(json)
    })
    expect(found).toEqual({})
    expect(compared).toBeGreaterThan(60)
  })

  test('pydicom', { timeout: 120_000 }, () => {
    const jsons = pydicomJson(plainFiles().map(([path]) => path))
    const { compared, found } = differing((path) => {
      const json = jsons.get(path)
      return json && dataSetOfJson(json)
    })
    expect(found).toEqual({})
    expect(compared).toBeGreaterThan(60)
  })

  test('dcm2xml, in the Native DICOM Model', { timeout: 120_000 }, () => {
    const { compared, found } = differing((_, file) => {
      const xml = dcm2xml(file)
      // It leaves escape sequences of ISO 2022 as they are, which no XML can hold.
      return xml === undefined || xml.includes('&#27;') ? undefined : dataSetOfXml(xml)
      // Against PS3.19 A.1 (JS-09), dcmtk 3.6 writes the words of OW with the high byte first.
    }, true)
    // A private attribute without a creator in its file loses its block: nobody can tell what it was.
    const isPrivate = (path: string) => /[0-9A-F]{3}[13579BDF][0-9A-F]{4}$/.test(path)
    const others = Object.entries(found).filter(([, paths]) => !paths.every(isPrivate))
    // It repeats the ideographic group where the phonetic one is empty.
    const names = ['pydicom/charset/chrX1.dcm', 'pydicom/charset/chrX2.dcm']
    expect(Object.fromEntries(others)).toEqual(
      Object.fromEntries(names.map((path) => [path, ['00100010']])),
    )
    expect(compared).toBeGreaterThan(60)
  })
})
