import { Buffer } from 'node:buffer'
import type { ModelDataSet } from '../../../server/dicom/data-set-model.ts'
import { BulkDataError } from '../../../server/dicom/errors.ts'
import { JsonArraySplitter } from '../../../server/dicom/json-array-splitter.ts'
import { decodeJson } from '../../../server/dicom/json-text.ts'
import { readInstanceJson } from '../../../server/dicom/model-from-json.ts'
import { readInstanceXml } from '../../../server/dicom/model-from-xml.ts'
import { writePart10 } from '../../../server/dicom/part10-writer.ts'
import { decodeXml } from '../../../server/dicom/xml-encoding.ts'
import { metadataOf, readInstance } from '../../support/dicom-reading.ts'
import type { Target } from '../target.ts'
import { text, unlessRefused } from './refused.ts'

const uids =
  '"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2"]},"00080018":{"vr":"UI","Value":["1.2.3"]},' +
  '"0020000D":{"vr":"UI","Value":["1.2.4"]},"0020000E":{"vr":"UI","Value":["1.2.5"]}'

/** A file made of what was read is one that our own reader takes, or refuses for its contents. */
function writeAndRead(dataSet: ModelDataSet): void {
  const pieces = unlessRefused(() =>
    writePart10(dataSet, ({ bulkDataURI }) => {
      if (bulkDataURI !== 'b') throw new BulkDataError('it refers to nothing')
      return { ranges: [{ offset: 0, length: 4 }] }
    }),
  )
  if (pieces === undefined) return
  const file = pieces.map((piece) =>
    piece instanceof Uint8Array ? piece : Buffer.alloc(piece.length),
  )
  const read = unlessRefused(() => readInstance(Buffer.concat(file)))
  if (read !== undefined) metadataOf(read)
}

export function metadataJSON(): Target {
  return {
    maxBytes: 32 * 1024,
    seeds: [
      `[{${uids},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe^J","Ideographic":"山"}]}}]`,
      `{${uids},"00280010":{"vr":"US","Value":[512]},"00101030":{"vr":"DS","Value":[1.50e2]}}`,
      `[{${uids},"00081140":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]}},{}]}}]`,
      `[{${uids},"7FE00010":{"vr":"OW","BulkDataURI":"b"},"00091001":{"vr":"UN","InlineBinary":"AAAA"}}]`,
      `[{${uids},"00189073":{"vr":"FD","Value":[1.5,"NaN",-0]},"00720082":{"vr":"SV","Value":["-9223372036854775808"]}},{}]`,
      `[{${uids},"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00209165":{"vr":"AT","Value":["00100010"]}}]`,
    ].map(text),
    tokens: [
      ...['{', '}', '[', ']', ',', ':', '"', '\\', '\\u0000', '\\ud800', 'null', 'true', '1e999'],
      ...[
        '"Value":[',
        '"InlineBinary":"',
        '"BulkDataURI":"b"',
        '"vr":"SQ"',
        '"vr":"UN"',
        '"vr":"PN"',
      ],
      ...['"__proto__":', '"constructor":', '"Alphabetic":"', '====', '^^^^', '    ', '0000'],
      ...[
        '{"00081140":{"vr":"SQ","Value":[',
        '[[[[[[[[',
        '"00020010":{"vr":"UI","Value":["1.2"]},',
      ],
      ...'AE AS AT CS DA DS DT FD FL IS LO LT OB OW PN SH SL SQ SS ST SV TM UC UI UL UR US UT UV'
        .split(' ')
        .map((vr) => `"${vr}"`),
      Buffer.of(0xff),
      Buffer.of(0xed, 0xa0, 0x80),
    ],
    run(input) {
      const found: Buffer[] = []
      const splits = (chunkBytes: number) => {
        const ends: number[] = []
        const splitter = new JsonArraySplitter((offset, length) => ends.push(offset, length))
        const isTaken = unlessRefused(() => {
          for (let at = 0; at < input.length; at += chunkBytes) {
            splitter.push(input.subarray(at, at + chunkBytes))
          }
          splitter.end()
          return true
        })
        return { ends, isTaken }
      }
      const whole = splits(input.length || 1)
      if (JSON.stringify(whole) !== JSON.stringify(splits(7))) {
        throw new Error('Other chunks, other instances')
      }
      for (let at = 0; at < whole.ends.length; at += 2) {
        const [offset = 0, length = 0] = whole.ends.slice(at)
        found.push(input.subarray(offset, offset + length))
      }
      for (const instance of [input, ...found.slice(0, 20)]) {
        const reading = unlessRefused(() => readInstanceJson(decodeJson(instance)))
        if (reading !== undefined) writeAndRead(reading.dataSet)
      }
    },
  }
}

export function metadataXML(): Target {
  const attribute = (tag: string, vr: string, inside: string) =>
    `<DicomAttribute tag="${tag}" vr="${vr}">${inside}</DicomAttribute>`
  const identity = [
    attribute('00080016', 'UI', '<Value number="1">1.2.840.10008.5.1.4.1.1.2</Value>'),
    attribute('00080018', 'UI', '<Value number="1">1.2.3</Value>'),
    attribute('0020000D', 'UI', '<Value number="1">1.2.4</Value>'),
    attribute('0020000E', 'UI', '<Value number="1">1.2.5</Value>'),
  ].join('')
  const names = '<Alphabetic><FamilyName>Doe</FamilyName><GivenName>J</GivenName></Alphabetic>'
  const document = (inside: string) =>
    text(
      `<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel>${identity}${inside}</NativeDicomModel>`,
    )
  return {
    maxBytes: 32 * 1024,
    seeds: [
      document(''),
      document(attribute('00100010', 'PN', `<PersonName number="1">${names}</PersonName>`)),
      document(
        attribute('00081140', 'SQ', `<Item number="1">${attribute('00081155', 'UI', '')}</Item>`),
      ),
      document(attribute('7FE00010', 'OW', '<BulkData uri="b"/>')),
      document(attribute('00091001', 'UN', '<InlineBinary>AAAA</InlineBinary>')),
      document(
        '<DicomAttribute tag="00090001" vr="LO" privateCreator="X"><Value number="2">a</Value></DicomAttribute>',
      ),
    ],
    tokens: [
      ...[
        '<Value number="1">',
        '</Value>',
        '<Item number="1">',
        '</Item>',
        '<PersonName number="2">',
      ],
      ...['<DicomAttribute tag="00081140" vr="SQ">', '</DicomAttribute>', ' number="500000"', '/>'],
      ...[
        '<constructor>',
        '<__proto__>',
        '<toString>',
        '<hasOwnProperty/>',
        '<FamilyName/>',
        '<BulkData/>',
      ],
      ...['<!DOCTYPE a [<!ENTITY b "c">]>', '&b;', '&#0;', '&#xD800;', '&amp;', '<![CDATA[', ']]>'],
      ...[
        '<!--',
        '-->',
        '<?a b?>',
        'xmlns:a="b"',
        'encoding="utf-16"',
        'encoding="shift_jis"',
        '======',
      ],
      ...'AE AT CS DA DS FD IS LO LT OB OW PN SH SL SQ ST SV TM UI UL UN UR US UT UV'
        .split(' ')
        .map((vr) => `vr="${vr}"`),
      Buffer.of(0xff, 0xfe),
    ],
    run(input) {
      const reading = unlessRefused(() => readInstanceXml(decodeXml(input)))
      if (reading !== undefined) writeAndRead(reading.dataSet)
    },
  }
}
