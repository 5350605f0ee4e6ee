import { describe, expect, test } from 'vitest'
import { type DicomJson, toNativeDicomModel } from '../../server/dicom/json-to-xml.ts'

function inner(dataset: DicomJson): string {
  return toNativeDicomModel(dataset)
    .replace(/^<\?xml version="1.0" encoding="UTF-8"\?>\n<NativeDicomModel [^>]*>/, '')
    .replace(/<\/NativeDicomModel>\n$/, '')
}

describe('Native DICOM Model (PS3.19 A.1; JS-28)', () => {
  test('is a document whose spaces are kept', () => {
    expect(toNativeDicomModel({})).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve"></NativeDicomModel>
`)
  })

  test('numbers the values from 1, an empty one among them', () => {
    expect(inner({ '00080008': { vr: 'CS', Value: ['A', null, 'B'] } })).toBe(
      '<DicomAttribute tag="00080008" vr="CS" keyword="ImageType"><Value number="1">A</Value><Value number="2"/><Value number="3">B</Value></DicomAttribute>',
    )
  })

  test('has an empty attribute without content', () => {
    expect(inner({ '00100020': { vr: 'LO' } })).toBe(
      '<DicomAttribute tag="00100020" vr="LO" keyword="PatientID"/>',
    )
  })

  test('splits the components of a name (JS-07)', () => {
    const Value = [{ Alphabetic: 'Doe^Jane^^Dr^MD', Ideographic: '王^小', Phonetic: '' }, null]
    expect(inner({ '00100010': { vr: 'PN', Value } })).toBe(
      '<DicomAttribute tag="00100010" vr="PN" keyword="PatientName"><PersonName number="1">' +
        '<Alphabetic><FamilyName>Doe</FamilyName><GivenName>Jane</GivenName><NamePrefix>Dr</NamePrefix><NameSuffix>MD</NameSuffix></Alphabetic>' +
        '<Ideographic><FamilyName>王</FamilyName><GivenName>小</GivenName></Ideographic>' +
        '</PersonName><PersonName number="2"/></DicomAttribute>',
    )
  })

  test('nests items', () => {
    const Value = [{ '00400007': { vr: 'LO', Value: ['x'] } }, {}]
    expect(inner({ '00400275': { vr: 'SQ', Value } })).toBe(
      '<DicomAttribute tag="00400275" vr="SQ" keyword="RequestAttributesSequence"><Item number="1">' +
        '<DicomAttribute tag="00400007" vr="LO" keyword="ScheduledProcedureStepDescription"><Value number="1">x</Value></DicomAttribute>' +
        '</Item><Item number="2"/></DicomAttribute>',
    )
  })

  test('names a private attribute by its creator (JS-22)', () => {
    expect(
      inner({
        '00090010': { vr: 'LO', Value: ['ACME "1"'] },
        '00091002': { vr: 'SH', Value: ['x'] },
        '00091102': { vr: 'SH' },
      }),
    ).toBe(
      '<DicomAttribute tag="00090010" vr="LO"><Value number="1">ACME "1"</Value></DicomAttribute>'.replaceAll(
        'ACME "1"',
        'ACME &quot;1&quot;',
      ) +
        '<DicomAttribute tag="00090002" vr="SH" privateCreator="ACME &quot;1&quot;"><Value number="1">x</Value></DicomAttribute>' +
        '<DicomAttribute tag="00091102" vr="SH"/>',
    )
  })

  test('has bulk data by its address and bytes inline', () => {
    expect(
      inner({
        '00420011': { vr: 'OB', InlineBinary: 'AAE=' },
        '7FE00010': { vr: 'OW', BulkDataURI: 'http://h/a?b=1&c' },
      }),
    ).toBe(
      '<DicomAttribute tag="00420011" vr="OB" keyword="EncapsulatedDocument"><InlineBinary>AAE=</InlineBinary></DicomAttribute>' +
        '<DicomAttribute tag="7FE00010" vr="OW" keyword="PixelData"><BulkData uri="http://h/a?b=1&amp;c"/></DicomAttribute>',
    )
  })

  test('escapes what XML needs, and replaces what it forbids', () => {
    const Value = ['<&>\r\n\t\x1b\f\uFFFF😀']
    expect(inner({ '00104000': { vr: 'LT', Value } })).toContain(
      '<Value number="1">&lt;&amp;&gt;&#13;\n\t\uFFFD\uFFFD\uFFFD😀</Value>',
    )
  })
})
