import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { DicomJson } from './dicom-reading.ts'

/** Real files to test with, beside the project; not part of it. */
export const corpusFolder = resolve(process.cwd(), '../shared/corpus')

/** Says why corpus tests are skipped, or undefined when they are not. Prints it, so that nobody misses it. */
export function whyNoCorpus(): string | undefined {
  if (existsSync(corpusFolder)) return undefined
  return printed('skipped: there is no corpus at ../shared/corpus')
}

/** Says why tests against dcmtk and pydicom are skipped, or undefined. */
export function whyNoReaders(): string | undefined {
  if (spawnSync('dcm2json', ['--version']).status !== 0)
    return printed('skipped: no dcm2json (dcmtk) here')
  if (spawnSync(python, ['-c', 'import pydicom']).status !== 0) {
    return printed('skipped: no python3 with pydicom here')
  }
  return undefined
}

/** Says why pixels of JPEG 2000 are not compared with those that pydicom decodes, or undefined. */
export function whyNoJPEG2000(): string | undefined {
  const asks = 'import numpy; from PIL import features; assert features.check("jpg_2000")'
  if (spawnSync(python, ['-c', asks]).status === 0) return undefined
  return printed('skipped: no Pillow and numpy for pydicom here')
}

/** The files of the corpus by their path in it, in order. */
export function corpusFiles(): string[] {
  return readdirSync(corpusFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(md|txt)$/.test(entry.name))
    .map((entry) => relative(corpusFolder, join(entry.parentPath, entry.name)))
    .sort()
}

export function corpusFile(path: string): Buffer {
  return readFileSync(join(corpusFolder, path))
}

/** dcmtk's opinion of one file; undefined when it cannot read it. */
export function dcm2json(file: Uint8Array): DicomJson | undefined {
  const run = spawnSync('dcm2json', ['-q', '-fc', '-'], {
    input: file,
    maxBuffer: 2 ** 28,
  })
  if (run.status !== 0) return undefined
  return JSON.parse(run.stdout.toString())
}

/** pydicom's opinion of files of the corpus; a file that it cannot read is missing. */
export function pydicomJson(paths: string[]): Map<string, DicomJson> {
  const run = spawnSync(python, ['-W', 'ignore', '-c', script, corpusFolder], {
    input: paths.join('\n'),
    maxBuffer: 2 ** 29,
  })
  if (run.status !== 0) throw new Error(`pydicom failed: ${run.stderr.toString().slice(-2000)}`)
  const found = new Map<string, DicomJson>()
  for (const line of run.stdout.toString().split('\n').filter(Boolean)) {
    const { path, json } = JSON.parse(line)
    if (json !== null) found.set(path, json)
  }
  return found
}

/** Debian's, not one that a version manager put before it. */
const python = '/usr/bin/python3'

const script = `
import json, os, sys
import pydicom
for path in sys.stdin.read().split('\\n'):
    try:
        ds = pydicom.dcmread(os.path.join(sys.argv[1], path))
        model = ds.to_json_dict(bulk_data_threshold=10**12, suppress_invalid_tags=True)
        print(json.dumps({'path': path, 'json': model}))
    except Exception as error:
        print(json.dumps({'path': path, 'json': None, 'error': str(error)}))
`

function printed(reason: string): string {
  console.warn(reason)
  return reason
}
