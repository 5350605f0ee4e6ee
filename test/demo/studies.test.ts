import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { chestOffset, chestSide, chestSlice, chestSpacing } from '../../server/demo/chest.ts'
import { beatFrames, heartbeatFrame, loopHeight, loopWidth } from '../../server/demo/heartbeat.ts'
import { demoStudies } from '../../server/demo/studies.ts'
import { uidOf } from '../../server/demo/uids.ts'
import { isUID } from '../../server/dicom/uid.ts'
import { whyNoReaders } from '../support/dicom-corpus.ts'
import { metadataOf, readInstance, refusalOf } from '../support/dicom-reading.ts'

const studies = demoStudies('test')
const [chest, echo, bad, incomplete] = studies.map((study) => [...study.files()]) as [
  Made[],
  Made[],
  Made[],
  Made[],
]
type Made = { sopInstanceUID: string; file: Buffer }

describe('The studies of the demonstration', () => {
  test('are a CT of a hundred slices, a loop, one with a broken file, and one that is not all there', () => {
    expect([chest, echo, bad, incomplete].map((files) => files.length)).toEqual([100, 1, 12, 32])
    expect(studies.map((study) => study.declaredInstanceCount)).toEqual([
      ...[undefined, undefined, undefined],
      40,
    ])
  })

  test('are instances of their study and no other, with UIDs made of UUIDs (PS3.5 B.2)', () => {
    const seen = new Set<string>()
    for (const { studyInstanceUID, files } of studies) {
      for (const { sopInstanceUID, file } of files()) {
        const { identity } = { identity: refusalOf(file)?.identity ?? readInstance(file) }
        expect(identity.studyInstanceUID).toBe(studyInstanceUID)
        expect(identity.sopInstanceUID).toBe(sopInstanceUID)
        expect(isUID(sopInstanceUID) && sopInstanceUID.startsWith('2.25.')).toBe(true)
        expect(BigInt(sopInstanceUID.slice(5))).toBeLessThan(2n ** 128n)
        seen.add(sopInstanceUID)
      }
    }
    expect(seen.size).toBe(145)
  })

  test('are the same each time, and others for another set', () => {
    const again = demoStudies('test')[1]?.files().next().value as Made
    expect(again.file.equals((echo[0] as Made).file)).toBe(true)
    const other = demoStudies('other').map((study) => study.studyInstanceUID)
    expect(other.filter((uid) => studies.some((one) => one.studyInstanceUID === uid))).toEqual([])
    expect(uidOf('a')).toBe(uidOf('a'))
  })

  test('have one file that must be refused, because its end is missing', () => {
    const refused = bad.flatMap(({ file }) => refusalOf(file) ?? [])
    expect(refused.map(({ name, failureReason }) => [name, failureReason])).toEqual([
      ['TruncatedError', 0xc000],
    ])
    for (const { file } of [...chest, ...echo, ...incomplete]) {
      expect(refusalOf(file)).toBeUndefined()
    }
  })

  test('say where each slice is, from the apex down, 3 mm apart', () => {
    const heights = chest.map(
      ({ file }) => metadataOf(readInstance(file))['00200032']?.Value?.[2] as number,
    )
    const steps = heights.slice(1).map((height, index) => (heights[index] as number) - height)
    for (const step of steps) expect(step).toBeCloseTo(3, 0)
  })
})

describe('The pictures', () => {
  const at = (slice: Uint16Array, x: number, y: number) => {
    const [column, row] = [x, y].map((mm) => Math.round(mm / chestSpacing + chestSide / 2))
    return (slice[(row as number) * chestSide + (column as number)] as number) - chestOffset
  }

  test('of the chest have air around it and in the lungs, bone in the spine, and 12 bits', () => {
    const slice = chestSlice(0.5, 50)
    expect(Math.max(...slice)).toBeLessThan(4096)
    expect(at(slice, -170, -170)).toBeLessThan(-900)
    expect(at(slice, 85, -20)).toBeLessThan(-600)
    expect(at(slice, -95, -20)).toBeLessThan(-600)
    expect(at(slice, 0, 50)).toBeGreaterThan(150)
    expect(at(slice, 0, -100)).toBeGreaterThan(-200)
  })

  test('of the chest change from slice to slice: the heart is low, the windpipe high', () => {
    expect(at(chestSlice(0.1, 10), 0, 8)).toBeLessThan(-900)
    expect(at(chestSlice(0.75, 75), 22, -24)).toBeGreaterThan(20)
  })

  test('of the heart are dark in its chambers, which shrink in every beat, and come again', () => {
    const dark = (frame: Uint8Array) => {
      const inside = frame.filter((_, index) => {
        const [x, y] = [index % loopWidth, Math.floor(index / loopWidth)]
        return Math.abs(x - loopWidth / 2) < 60 && y > 50 && y < 150
      })
      return inside.filter((value) => value < 30).length
    }
    const [rest, beat] = [heartbeatFrame(0), heartbeatFrame(beatFrames / 4)]
    expect(rest).toHaveLength(loopWidth * loopHeight)
    expect(dark(beat)).toBeLessThan(dark(rest) * 0.8)
    expect(Buffer.from(heartbeatFrame(beatFrames)).equals(rest)).toBe(true)
  })
})

const whyNot = whyNoReaders()
const folder = mkdtempSync(join(tmpdir(), 'stowage-demo-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.skipIf(whyNot !== undefined)('Others that read them', () => {
  test.each([
    ['the chest', () => chest[49] as Made],
    ['the loop', () => echo[0] as Made],
    ['the incomplete one', () => incomplete[0] as Made],
  ])('dcmtk and pydicom have nothing to say against %s', (_, made) => {
    const path = join(folder, 'one.dcm')
    writeFileSync(path, made().file)
    const dump = spawnSync('dcmdump', [path])
    expect([dump.status, dump.stderr.toString()]).toEqual([0, ''])
    const python = spawnSync('/usr/bin/python3', ['-W', 'error', '-c', script, path])
    expect(python.stderr.toString()).toBe('')
    const { frames, rows, columns, bits, bytes } = JSON.parse(python.stdout.toString())
    expect(bytes).toBe((frames * rows * columns * bits) / 8)
  })
})

/** Every value is read, and checked against its VR. */
const script = `
import json, sys, pydicom
pydicom.config.settings.reading_validation_mode = pydicom.config.RAISE
ds = pydicom.dcmread(sys.argv[1])
for element in ds.iterall(): str(element.value)
print(json.dumps({'frames': int(ds.get('NumberOfFrames', 1)), 'rows': ds.Rows, 'columns': ds.Columns,
  'bits': ds.BitsAllocated, 'bytes': len(ds.PixelData)}))
`
