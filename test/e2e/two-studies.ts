import { dicomFile, jpegBaseline } from '../support/dicom-file.ts'

// Two studies of two patients: `a` with two series of two and one instances, `b` with one instance.
export const a = { uid: '1.2.826.10.1', series: '1.2.826.10.1.1', other: '1.2.826.10.1.2' }
export const b = { uid: '1.2.826.20.1', series: '1.2.826.20.1.1' }
export const a1 = dicomFile({
  studyInstanceUID: a.uid,
  seriesInstanceUID: a.series,
  sopInstanceUID: '1.2.826.10.1.1.1',
  patientID: 'PAT 1',
  patientName: 'Doe^Jane',
  studyDate: '20260102',
  accessionNumber: 'ACC-1',
  specificCharacterSet: 'ISO_IR 192',
  instanceNumber: 1,
  pixelBytes: Buffer.alloc(5000, 1),
  elements: [
    { tag: '00080090', vr: 'PN', value: 'Ref^Doc' },
    { tag: '00080201', vr: 'SH', value: '+0100' },
    { tag: '0008103E', vr: 'LO', value: 'Thorax' },
    { tag: '00100010', vr: 'PN', value: Buffer.from('Yamada^Tarou=山田^太郎=やまだ^たろう ') },
    { tag: '00100030', vr: 'DA', value: '19700131' },
    { tag: '00100040', vr: 'CS', value: 'F' },
    { tag: '00180015', vr: 'CS', value: 'CHEST' },
    { tag: '00200010', vr: 'SH', value: 'S1' },
    { tag: '00400244', vr: 'DA', value: '20260102' },
    { tag: '00400245', vr: 'TM', value: '1014' },
    { tag: '00180050', vr: 'DS', value: '1.5' },
    { tag: '00101010', vr: 'AS', value: '055Y' },
    { tag: '00080070', vr: 'LO', value: 'Maker' },
    { tag: '20010010', vr: 'LO', value: 'Acme 1.0' },
    { tag: '20011003', vr: 'LO', value: 'private' },
    {
      tag: '00400275',
      vr: 'SQ',
      items: [
        [
          { tag: '00400007', vr: 'LO', value: 'Step one' },
          { tag: '00400009', vr: 'SH', value: 'SPS-1' },
          { tag: '00401001', vr: 'SH', value: 'RP-1' },
        ],
        [{ tag: '00401001', vr: 'SH', value: 'RP-2' }],
      ],
    },
  ],
})
export const a2 = dicomFile({
  studyInstanceUID: a.uid,
  seriesInstanceUID: a.series,
  sopInstanceUID: '1.2.826.10.1.1.2',
  patientID: 'PAT 1',
  studyDate: '20260102',
  instanceNumber: 2,
  numberOfFrames: 3,
  transferSyntaxUID: jpegBaseline,
  pixelBytes: [Buffer.alloc(100, 1), Buffer.alloc(100, 2), Buffer.alloc(100, 3)],
})
export const a3 = dicomFile({
  studyInstanceUID: a.uid,
  seriesInstanceUID: a.other,
  sopInstanceUID: '1.2.826.10.1.2.1',
  sopClassUID: '1.2.840.10008.5.1.4.1.1.88.11',
  patientID: 'PAT 1',
  studyDate: '20260102',
  modality: 'SR',
  seriesNumber: 2,
  pixelBytes: null,
  without: ['00200013', '00280010', '00280011', '00280100'],
})
export const b1 = dicomFile({
  studyInstanceUID: b.uid,
  seriesInstanceUID: b.series,
  sopInstanceUID: '1.2.826.20.1.1.1',
  patientID: 'P2',
  studyDate: '20260304',
  without: ['00080030', '00080050', '00081030'],
})
