/**
 * Reads the head of an ordinary CT (about 150 elements) with the instance reader and with dcmjs, and prints both. Then
 * what each of 2,000 small MR instances costs from its first byte to the row that is staged, cold and warm.
 *
 *     node --import tsx test/bench/head-reader.ts [file]
 */
import { readFileSync } from 'node:fs'
// @ts-expect-error: dcmjs ships no types
import dcmjs from 'dcmjs'
import { InstanceReader } from '../../server/dicom/instance-reader.ts'
import { PartLedger, PartReceiver } from '../../server/intake/parts.ts'
import { type DicomElement, dicomFile } from '../support/dicom-file.ts'
import { makeInstances, shapeOf } from './sets.ts'

const path = process.argv[2]
const file = path === undefined ? ordinaryCT() : readFileSync(path)
const chunks = chunksOf(file, 65_536)

/** An Explicit VR CT of 512 x 512 with 150 elements, some of them in sequences. */
function ordinaryCT(): Buffer {
  const elements: DicomElement[] = []
  const add = (tag: number, vr: string, value: DicomElement['value'] & {}) =>
    elements.push({ tag: tag.toString(16).toUpperCase().padStart(8, '0'), vr, value })
  add(0x00080005, 'CS', 'ISO_IR 100')
  add(0x00080008, 'CS', 'ORIGINAL\\PRIMARY\\AXIAL')
  add(0x00080070, 'LO', 'SIEMENS')
  add(0x00181210, 'SH', 'B30f')
  add(0x00200032, 'DS', '-158.135803\\-179.035797\\-75.699997')
  add(0x00200037, 'DS', '1.000000\\0.000000\\0.000000\\0.000000\\1.000000\\0.000000')
  add(0x00280030, 'DS', '0.661468\\0.661468')
  for (let index = 0; index < 40; index++) add(0x00181300 + index, 'DS', `${index * 3}.250000`)
  for (let index = 0; index < 15; index++) add(0x00180100 + index, 'LO', `A protocol name ${index}`)
  for (let index = 0; index < 12; index++)
    add(0x00080300 + index, 'UI', `1.2.840.113619.2.55.3.${index}`)
  add(0x00190010, 'LO', 'SIEMENS CT VA0  COAD')
  for (let index = 0; index < 30; index++)
    add(0x00191000 + index, index % 2 ? 'SS' : 'FL', index * 1.5)
  elements.push({
    tag: '00081140',
    vr: 'SQ',
    items: Array.from({ length: 5 }, (_, index) => [
      { tag: '00081150', vr: 'UI', value: '1.2.840.10008.5.1.4.1.1.2' },
      { tag: '00081155', vr: 'UI', value: `1.2.840.113619.2.55.3.2831183634.${index}` },
    ]),
  })
  return dicomFile({ rows: 512, columns: 512, elements })
}

function chunksOf(bytes: Buffer, size: number): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size))
  return parts
}

function readWithUs(): number {
  const reader = new InstanceReader()
  for (const chunk of chunks) reader.push(chunk)
  return reader.end().metadata.length
}

/** dcmjs needs the file in one piece; it makes objects, no JSON text. */
function readWithDcmjs(): number {
  const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.length)
  const { dict } = dcmjs.data.DicomMessage.readFile(buffer as ArrayBuffer, { untilTag: '7FE00010' })
  return Object.keys(dict).length
}

/** Milliseconds a call: the median of rounds that each last about 100 ms. */
function measure(read: () => number): number {
  const warmUntil = performance.now() + 500
  let calls = 0
  while (performance.now() < warmUntil) {
    read()
    calls++
  }
  const perRound = Math.max(1, Math.round(calls / 5))
  const rounds: number[] = []
  for (let round = 0; round < 9; round++) {
    const start = performance.now()
    for (let call = 0; call < perRound; call++) read()
    rounds.push((performance.now() - start) / perRound)
  }
  return rounds.sort((a, b) => a - b)[4] ?? 0
}

/** One request of the set `small`: each part read, digested, and entered in the ledger. */
function receive(files: readonly Buffer[]): void {
  const ledger = new PartLedger(undefined)
  for (const [position, bytes] of files.entries()) {
    const part = new PartReceiver(position, 'segment', 0, {})
    part.push(bytes)
    const end = part.end()
    if ('error' in end) throw end.error
    ledger.take(part, end.instance, end.digest)
  }
}

/** Microseconds an instance: the first request of this process, and the best of some later ones. */
function receiveSmall(): { first: number; warm: number } {
  const instances = makeInstances('small', shapeOf('small', 'full'), 1)
  const files = instances.map(({ pieces }) => Buffer.concat(pieces))
  const rounds = Array.from({ length: 30 }, () => {
    const start = performance.now()
    receive(files)
    return ((performance.now() - start) * 1000) / files.length
  })
  return { first: rounds[0] ?? 0, warm: Math.min(...rounds) }
}

dcmjs.log.setLevel('error')
// Before anything else: the first request of a young server is what is looked for.
const small = receiveSmall()
console.log(`${file.length} bytes, ${readWithUs()} bytes of JSON`)
const ours = measure(readWithUs)
const theirs = measure(readWithDcmjs)
console.log(
  `instance reader ${ours.toFixed(4)} ms, dcmjs ${theirs.toFixed(4)} ms, ${(theirs / ours).toFixed(1)} times`,
)
console.log(
  `small instance ${small.first.toFixed(0)} µs in the first request, ${small.warm.toFixed(0)} µs warm`,
)
