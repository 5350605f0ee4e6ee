import { Buffer } from 'node:buffer'
import { deflateRawSync } from 'node:zlib'
import { DicomError } from '../../../server/dicom/errors.ts'
import { corpusFile, corpusFiles, whyNoCorpus } from '../../support/dicom-corpus.ts'
import {
  type DicomElement,
  dataSet,
  deflatedLittleEndian,
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
  jpegBaseline,
} from '../../support/dicom-file.ts'
import { metadataText, readInstance } from '../../support/dicom-reading.ts'
import type { Target } from '../target.ts'

const elements: DicomElement[] = [
  { tag: '00080005', vr: 'CS', value: '\\ISO 2022 IR 87' },
  { tag: '00081140', vr: 'SQ', items: [[{ tag: '00081155', vr: 'UI', value: '1.2.3' }], []] },
  { tag: '00090010', vr: 'LO', value: 'PRIVATE' },
  { tag: '00091001', vr: 'UN', value: Buffer.from('some bytes') },
  { tag: '00102000', vr: 'LO', value: '\x1b$B;3ED\x1b(B' },
  { tag: '00189073', vr: 'FD', value: [1.5, 2] },
  { tag: '00209165', vr: 'AT', value: ['00100010'] },
  {
    tag: '00400275',
    vr: 'SQ',
    undefinedLength: true,
    items: [[{ tag: '00400007', vr: 'LO', value: 'Head' }]],
  },
]
const small = { rows: 2, columns: 2, elements }
const corpusSeedBytes = 16 * 1024

const tokens = [
  Buffer.of(0xff, 0xff, 0xff, 0xff),
  Buffer.of(0xfe, 0xff, 0xff, 0xff),
  Buffer.of(0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff),
  Buffer.of(0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0),
  Buffer.of(0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0),
  Buffer.of(0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0),
  Buffer.of(0xff, 0xfe, 0xe0, 0x00, 0xff, 0xff, 0xff, 0xff),
  Buffer.of(0x08, 0x00, 0x40, 0x11, 0x53, 0x51, 0, 0, 0xff, 0xff, 0xff, 0xff),
  Buffer.of(0x08, 0x00, 0x40, 0x11, 0xff, 0xff, 0xff, 0xff),
  Buffer.of(0xe0, 0x7f, 0x10, 0x00, 0x4f, 0x42, 0, 0, 0xff, 0xff, 0xff, 0xff),
  ...'AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV'.split(
    ' ',
  ),
  'ISO_IR 192',
  'ISO 2022 IR 149',
  'GB18030',
  '\x1b$)C',
  '\x1b(B',
  '\\',
  '^',
  '=',
  '-',
  '1e400',
  'NaN',
]

/** The head reader with files of one transfer syntax: whole or in pieces it tells the same, and valid JSON. */
function head(syntaxes: string[], doesTake: (file: Buffer) => boolean): Target {
  return {
    maxBytes: corpusSeedBytes,
    seeds: [
      ...syntaxes.flatMap((transferSyntaxUID) => [
        dicomFile({ transferSyntaxUID, ...small }),
        dicomFile({ transferSyntaxUID, pixelBytes: null }),
      ]),
      ...corpusSeeds().filter(doesTake),
    ],
    tokens,
    run: readBothWays,
  }
}

function readBothWays(file: Buffer): void {
  const expected = outcome(file, file.length)
  if (outcome(file, 1 + (file.length % 61)) !== expected) {
    throw new Error('Other chunks, another outcome')
  }
}

function outcome(file: Buffer, chunkBytes: number): string {
  try {
    const text = metadataText(readInstance(file, Math.max(1, chunkBytes)))
    JSON.parse(text)
    return text
  } catch (error) {
    if (!(error instanceof DicomError)) throw error
    return error.message
  }
}

let found: Buffer[] | undefined

function corpusSeeds(): Buffer[] {
  if (found !== undefined) return found
  if (whyNoCorpus() !== undefined) return []
  found = corpusFiles()
    .map(corpusFile)
    .filter((file) => file.length <= corpusSeedBytes)
  return found
}

/** Files of the corpus are told apart by the transfer syntax in their head. */
const hasSyntax = (uid: string) => (file: Buffer) => {
  const text = file.subarray(0, 600).toString('latin1')
  return text.includes(`${uid}\0`) || text.includes(`${uid} `)
}

export const headExplicit = () =>
  head(
    [explicitLittleEndian, jpegBaseline],
    (file) => !hasSyntax(implicitLittleEndian)(file) && !hasSyntax(explicitBigEndian)(file),
  )
export const headImplicit = () => head([implicitLittleEndian], hasSyntax(implicitLittleEndian))
export const headBig = () => head([explicitBigEndian], hasSyntax(explicitBigEndian))

/** The same, deflated: an input is the data set before that; or the whole file, when it begins with anything else. */
export function headDeflated(): Target {
  const file = dicomFile({ transferSyntaxUID: deflatedLittleEndian, ...small })
  const meta = file.subarray(0, 144 + file.readUInt32LE(140))
  const plain = dicomFile(small)
  const body = plain.subarray(144 + plain.readUInt32LE(140))
  return {
    maxBytes: corpusSeedBytes,
    seeds: [
      Buffer.concat([Buffer.of(0x08), body.subarray(1)]),
      Buffer.concat(dataSet(elements)),
      file,
      ...corpusSeeds().filter(hasSyntax(deflatedLittleEndian)),
    ],
    tokens,
    run(input) {
      if (input[0] !== 0x08) readBothWays(input)
      else readBothWays(Buffer.concat([meta, deflateRawSync(input)]))
    },
  }
}
