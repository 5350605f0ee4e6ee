import { type DicomElement, type DicomValue, dicomFile } from '../support/dicom-file.ts'

export interface HeadOptions {
  sopClassUID: string
  sopInstanceUID: string
  studyInstanceUID: string
  seriesInstanceUID: string
  modality: string
  rows: number
  columns: number
  numberOfFrames?: number | undefined
  /** Six digits, so that every head of a set has the same length. */
  instanceNumber: string
  patientID: string
  patientName: string
  accessionNumber: string
  studyDate: string
  studyDescription: string
}

/**
 * The bytes of a PS3.10 file up to the first byte of its pixel data: about 130 elements, among them
 * four sequences and a private block, as a scanner of today writes them.
 */
export function makeHead(options: HeadOptions): Buffer {
  const { sopInstanceUID, sopClassUID, studyInstanceUID, seriesInstanceUID } = options
  const pixelBytes = options.rows * options.columns * 2 * (options.numberOfFrames ?? 1)
  return dicomFile({
    ...{ sopClassUID, sopInstanceUID, studyInstanceUID, seriesInstanceUID },
    specificCharacterSet: 'ISO_IR 100',
    modality: options.modality,
    rows: options.rows,
    columns: options.columns,
    patientID: options.patientID,
    patientName: options.patientName,
    accessionNumber: options.accessionNumber,
    studyDate: options.studyDate,
    studyDescription: options.studyDescription,
    ...(options.numberOfFrames === undefined ? {} : { numberOfFrames: options.numberOfFrames }),
    elements: [
      ...texts,
      ...sequences,
      ...privateBlock,
      { tag: '00200013', vr: 'IS', value: options.instanceNumber },
      { tag: '7FE00010', vr: 'OW', value: new Uint8Array(0), claimedLength: pixelBytes },
    ],
  })
}

/** Tag, VR and value of the elements that every instance has alike. */
const textTable: [tag: string, vr: string, value: DicomValue][] = [
  ['00080008', 'CS', 'ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI'],
  ['00080012', 'DA', '20260314'],
  ['00080013', 'TM', '101733.296000'],
  ['00080021', 'DA', '20260314'],
  ['00080022', 'DA', '20260314'],
  ['00080023', 'DA', '20260314'],
  ['00080031', 'TM', '101612.421000'],
  ['00080032', 'TM', '101648.034518'],
  ['00080033', 'TM', '101648.034518'],
  ['00080070', 'LO', 'Example Medical Systems'],
  ['00080080', 'LO', 'Stadtklinikum Beispielstadt'],
  ['00080081', 'ST', 'Parkallee 12, 12345 Beispielstadt'],
  ['00080090', 'PN', 'Referrer^Anne^^Dr.'],
  ['00080201', 'SH', '+0100'],
  ['00081010', 'SH', 'CTAWP64213'],
  ['0008103E', 'LO', 'Thorax nativ 1.0 B70f, d\xfcnn'],
  ['00081040', 'LO', 'Radiologie'],
  ['00081050', 'PN', 'Performer^Berta^^Dr.'],
  ['00081070', 'PN', 'Operator^Carl'],
  ['00081090', 'LO', 'Definition Example'],
  ['00100030', 'DA', '19490301'],
  ['00100040', 'CS', 'O'],
  ['00101010', 'AS', '077Y'],
  ['00101020', 'DS', '1.72'],
  ['00101030', 'DS', '70'],
  ['001021C0', 'US', 4],
  ['00180010', 'LO', 'APPLIED'],
  ['00180015', 'CS', 'CHEST'],
  ['00180022', 'CS', 'HELICAL MODE'],
  ['00180050', 'DS', '1'],
  ['00180060', 'DS', '120'],
  ['00180088', 'DS', '0.7'],
  ['00180090', 'DS', '500'],
  ['00181000', 'LO', '64213'],
  ['00181020', 'LO', 'syngo CT 2012B'],
  ['00181030', 'LO', 'Thorax^ThoraxRoutine (Adult)'],
  ['00181041', 'DS', '80.5'],
  ['00181100', 'DS', '338'],
  ['00181110', 'DS', '1085.6'],
  ['00181111', 'DS', '595'],
  ['00181120', 'DS', '0'],
  ['00181130', 'DS', '156.5'],
  ['00181140', 'CS', 'CW'],
  ['00181150', 'IS', '500'],
  ['00181151', 'IS', '187'],
  ['00181152', 'IS', '94'],
  ['00181160', 'SH', 'FLAT'],
  ['00181170', 'IS', '22'],
  ['00181190', 'DS', '1.2'],
  ['00181200', 'DA', '20260313'],
  ['00181201', 'TM', '070411.000000'],
  ['00181210', 'SH', 'B70f'],
  ['00185100', 'CS', 'FFS'],
  ['00189305', 'FD', 0.5],
  ['00189306', 'FD', 0.6],
  ['00189307', 'FD', 38.4],
  ['00189309', 'FD', 57.6],
  ['00189310', 'FD', 28.8],
  ['00189311', 'FD', 1.5],
  ['00189313', 'FD', [0.25, -164.5, 812.75]],
  ['00189318', 'FD', [-1.75, -158.5, 812.75]],
  ['00189323', 'CS', 'XYZ_EC'],
  ['00189324', 'FD', 6.25],
  ['00189345', 'FD', 7.89],
  ['00200010', 'SH', 'S20260314'],
  ['00200011', 'IS', '5'],
  ['00200012', 'IS', '2'],
  ['00200032', 'DS', '-158.135803\\-179.035797\\-75.699997'],
  ['00200037', 'DS', '1.000000\\0.000000\\0.000000\\0.000000\\1.000000\\0.000000'],
  ['00200052', 'UI', '1.2.826.0.1.3680043.10.1474.7.9.20260314.101612'],
  ['00201040', 'LO', ''],
  ['00201041', 'DS', '-75.699997'],
  ['00204000', 'LT', 'Inspiration; Patient konnte die Luft gut anhalten'],
  ['00280004', 'CS', 'MONOCHROME2'],
  ['00280030', 'DS', '0.661468\\0.661468'],
  ['00280101', 'US', 12],
  ['00280102', 'US', 11],
  ['00280106', 'US', 0],
  ['00280107', 'US', 4095],
  ['00281050', 'DS', '50\\-600'],
  ['00281051', 'DS', '350\\1200'],
  ['00281052', 'DS', '-1024'],
  ['00281053', 'DS', '1'],
  ['00281054', 'LO', 'HU'],
  ['00281055', 'LO', 'WINDOW1\\WINDOW2'],
  ['00321032', 'PN', 'Requester^Dora^^Dr.'],
  ['00321033', 'LO', 'Innere Medizin'],
  ['00321060', 'LO', 'CT Thorax nativ'],
  ['00380010', 'LO', 'F2026-031475'],
  ['00400002', 'DA', '20260314'],
  ['00400003', 'TM', '100000'],
  ['00400244', 'DA', '20260314'],
  ['00400245', 'TM', '101512.000000'],
  ['00400253', 'SH', '20260314101512'],
  ['00400254', 'LO', 'CT Thorax nativ'],
  ['00402016', 'LO', 'P2026-0314-0042'],
  ['00402017', 'LO', 'F2026-0314-0042'],
]
const texts: DicomElement[] = textTable.map(([tag, vr, value]) => ({ tag, vr, value }))

const code = (value: string, scheme: string, meaning: string): DicomElement[] => [
  { tag: '00080100', vr: 'SH', value },
  { tag: '00080102', vr: 'SH', value: scheme },
  { tag: '00080104', vr: 'LO', value: meaning },
]

const sequences: DicomElement[] = [
  { tag: '00081032', vr: 'SQ', items: [code('CTTHN', 'LOCAL', 'CT Thorax nativ')] },
  {
    tag: '00081140',
    vr: 'SQ',
    undefinedLength: true,
    items: [1, 2, 3].map((number) => [
      { tag: '00081150', vr: 'UI', value: '1.2.840.10008.5.1.4.1.1.2' },
      { tag: '00081155', vr: 'UI', value: `1.2.826.0.1.3680043.10.1474.7.9.20260314.${number}` },
    ]),
  },
  {
    tag: '00082218',
    vr: 'SQ',
    items: [code('51185008', 'SCT', 'Thoracic structure')],
  },
  {
    tag: '00400275',
    vr: 'SQ',
    items: [
      [
        { tag: '00400007', vr: 'LO', value: 'CT Thorax nativ' },
        { tag: '00400008', vr: 'SQ', items: [code('CTTHN', 'LOCAL', 'CT Thorax nativ')] },
        { tag: '00400009', vr: 'SH', value: 'SPS2026-0042' },
        { tag: '00401001', vr: 'SH', value: 'RP2026-0042' },
      ],
    ],
  },
]

const privateBlock: DicomElement[] = [
  { tag: '00290010', vr: 'LO', value: 'EXAMPLE CSA HEADER' },
  { tag: '00291008', vr: 'CS', value: 'SOM 5' },
  { tag: '00291009', vr: 'LO', value: 'VA10A 971201' },
  { tag: '00291010', vr: 'OB', value: new Uint8Array(512).map((_, index) => (index * 37) & 0xff) },
  ...Array.from({ length: 10 }, (_, index) => ({
    tag: `002910${(0x20 + index).toString(16).toUpperCase()}`,
    vr: index % 2 === 0 ? 'DS' : 'SL',
    value: index % 2 === 0 ? `${index}.250000` : index * 1000,
  })),
]
