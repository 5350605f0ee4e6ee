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
import type { DicomJson } from '../support/dicom-reading.ts'
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
      const isEncapsulated =
        file.includes(Buffer.from([0xfe, 0xff, 0xdd, 0xe0])) && model.json['7FE00010']?.vr === 'OB'
      if (model.bigEndian || isEncapsulated || model.file !== file) return []
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

/** A value of odd length, which is made even (DV-21, JS-25). */
const padded = { 'pydicom/nested_priv_SQ.dcm': ['00010001.1.00010002'] }

describe.skipIf(isSkipped)('Metadata that others write, of files of the corpus', () => {
  test('dcm2json', { timeout: 120_000 }, () => {
    const { compared, found } = differing((_, file) => {
      const json = dcm2json(file)
      return json && dataSetOfJson(json)
    })
    expect(found).toEqual({
      ...padded,
      // It ends the text of an item in another character set than the root at its first escape sequence.
      'pydicom/charset/chrSQEncoding.dcm': ['00321064.1.00100010'],
    })
    expect(compared).toBeGreaterThan(60)
  })

  test('pydicom', { timeout: 120_000 }, () => {
    const jsons = pydicomJson(plainFiles().map(([path]) => path))
    const { compared, found } = differing((path) => {
      const json = jsons.get(path)
      return json && dataSetOfJson(json)
    })
    // badVR has a NumberOfFrames of "1A", of which it makes nothing.
    expect(found).toEqual({ ...padded, 'pydicom/badVR.dcm': ['00280008'] })
    expect(compared).toBeGreaterThan(60)
  })

  test('dcm2xml, in the Native DICOM Model', { timeout: 120_000 }, () => {
    const { compared, found } = differing((_, file) => {
      const xml = dcm2xml(file)
      return xml === undefined ? undefined : dataSetOfXml(xml)
      // Against PS3.19 A.1 (JS-09), dcmtk 3.6 writes the words of OW with the high byte first.
    }, true)
    expect(found).toEqual(padded)
    expect(compared).toBeGreaterThan(60)
  })
})
