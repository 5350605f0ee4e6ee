import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Instance } from '../../db/instances.ts'
import { DicomError } from '../../server/dicom/errors.ts'
import { HttpProblem } from '../../server/http/problem.ts'
import { encodePNG } from '../../server/pixels/png.ts'
import { render } from '../../server/pixels/render.ts'
import type { Picture } from '../../server/pixels/rendering.ts'
import { UndecodableError, WorkerPool } from '../../server/pixels/worker-pool.ts'
import { memoryStore } from '../../server/store/memory-store.ts'
import { framesOf, pixelsOf } from '../../server/wado/frames.ts'
import { renderingOf } from '../../server/wado/rendering-of.ts'
import { readModel } from '../../server/wado/stored-file.ts'
import {
  corpusFile,
  corpusFiles,
  corpusFolder,
  whyNoCorpus,
  whyNoReaders,
} from '../support/dicom-corpus.ts'
import { readInstance } from '../support/dicom-reading.ts'

/** A folder to which the pictures are written, for eyes: `PICTURES=/tmp/pictures`. */
const pictures = process.env.PICTURES
const why = whyNoCorpus() ?? whyNoReaders()
const folder = mkdtempSync(join(tmpdir(), 'stowage-pictures-'))
const pool = new WorkerPool()

interface Shown {
  picture: Picture
  /** What dcmtk does the same with. */
  tool: string | undefined
  options: string[]
}
const shown = new Map<string, Shown>()

/** The picture of the first frame of a file; undefined where there is none. */
async function pictureOf(path: string): Promise<Shown | undefined> {
  const file = corpusFile(path)
  const read = (() => {
    try {
      return readInstance(file)
    } catch (error) {
      if (error instanceof DicomError) return undefined
      throw error
    }
  })()
  if (read === undefined) return undefined
  const store = memoryStore()
  const segmentID = randomUUID()
  const writer = await store.create(segmentID)
  writer.append(file)
  writer.append(read.metadata)
  await writer.seal()
  const instance = {
    segmentID,
    segmentOffset: 0,
    byteLength: file.length,
    metadataLength: read.metadata.length,
    transferSyntaxUID: read.transferSyntaxUID,
  } as Instance
  const model = await readModel(instance, store)
  try {
    const frames = await framesOf(instance, store, model)
    const rendering = await renderingOf(instance, store, model, frames.image, 0)
    const { image, bytes } = await pixelsOf(frames, 0, pool)
    const options = rendering.window ? ['+Wi', '1'] : rendering.voiLUT ? ['+Wl', '1'] : ['+Wm']
    const tool = toolOf(read.transferSyntaxUID)
    return { picture: render(image, bytes, rendering), tool, options }
  } catch (error) {
    if (error instanceof HttpProblem || error instanceof UndecodableError) return undefined
    throw error
  }
}

beforeAll(async () => {
  if (why !== undefined) return
  for (const path of corpusFiles()) {
    const found = await pictureOf(path)
    if (found === undefined) continue
    shown.set(path, found)
    if (pictures === undefined) continue
    mkdirSync(pictures, { recursive: true })
    writeFileSync(join(pictures, `${path.replaceAll('/', '__')}.png`), encodePNG(found.picture))
  }
})

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await pool[Symbol.asyncDispose]()
})

/** It has one for JPEG-LS, none for JPEG 2000, and one for all others. */
function toolOf(transferSyntaxUID: string): string | undefined {
  if (/\.4\.8\d$/.test(transferSyntaxUID)) return 'dcml2pnm'
  return /\.4\.(9\d|\d{3})$/.test(transferSyntaxUID) ? undefined : 'dcmj2pnm'
}

/** What dcmtk makes of the first frame; undefined where it cannot. */
function dcmtkPicture(path: string, tool: string, options: string[]): Picture | undefined {
  const made = join(folder, 'made.pnm')
  const run = spawnSync(tool, ['-q', '-O', ...options, join(corpusFolder, path), made])
  return run.status === 0 ? readPNM(made) : undefined
}

/** Binary PGM or PPM, as dcmtk writes them: lines of text, the last of them `255`, then the pixels. */
function readPNM(path: string): Picture | undefined {
  const file = readFileSync(path)
  const [head, kind, width, height] =
    /^(P[56])\n(?:#.*\n)*(\d+) (\d+)\n255\n/.exec(file.toString('latin1', 0, 300)) ?? []
  if (head === undefined) return undefined
  const pixels = file.subarray(Buffer.byteLength(head, 'latin1'))
  return { width: Number(width), height: Number(height), channels: kind === 'P5' ? 1 : 3, pixels }
}

/** The mean difference of two pictures of one size, in levels of 255. */
function distance(one: Picture, other: Picture): number {
  if (one.width !== other.width || one.height !== other.height) return 255
  const [step, otherStep] = [one.channels === 1 ? 0 : 1, other.channels === 1 ? 0 : 1]
  const count = one.width * one.height
  let sum = 0
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const a = one.pixels[i * one.channels + channel * step] as number
      const b = other.pixels[i * other.channels + channel * otherStep] as number
      sum += Math.abs(a - b)
    }
  }
  return sum / (count * 3)
}

/** Where we are right: padding is left out of the range of values, which dcmtk does not do. */
const otherwise = ['JLSL', 'JPLL', 'RLE'].map((kind) => `dicom-test-files/WG04/${kind}/CT1_${kind}`)

describe.skipIf(why !== undefined)('Pictures of real files (WA-R6)', () => {
  test('are those that dcmtk makes, where it makes one', () => {
    const distances = [...shown].flatMap(([path, { picture, tool, options }]) => {
      const theirs = tool && dcmtkPicture(path, tool, options)
      return !theirs ? [] : [{ path, levels: distance(picture, theirs) }]
    })
    expect(distances.length).toBeGreaterThan(150)
    // JPEG is decoded with differences of a level or two.
    const others = distances.filter(({ levels }) => levels > 2).map(({ path }) => path)
    expect(others).toEqual(otherwise)
  }, 180_000)
})
