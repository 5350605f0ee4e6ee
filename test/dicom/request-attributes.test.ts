import { describe, expect, test } from 'vitest'
import { InstanceReader } from '../../server/dicom/instance-reader.ts'
import {
  type DicomElement,
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
} from '../support/dicom-file.ts'

const item = (scheduledProcedureStepID?: string, requestedProcedureID?: string): DicomElement[] => [
  { tag: '00400007', vr: 'LO', value: 'A step' },
  ...(scheduledProcedureStepID === undefined
    ? []
    : [{ tag: '00400009', vr: 'SH', value: scheduledProcedureStepID }]),
  ...(requestedProcedureID === undefined
    ? []
    : [{ tag: '00401001', vr: 'SH', value: requestedProcedureID }]),
]

function read(elements: DicomElement[], transferSyntaxUID = explicitLittleEndian) {
  const reader = new InstanceReader()
  const file = dicomFile({ elements, transferSyntaxUID })
  for (let at = 0; at < file.length; at += 7) reader.push(file.subarray(at, at + 7))
  return reader.end().attributes.requestAttributesSequence
}

describe('Request Attributes Sequence (PS3.3 C.7.3.1)', () => {
  test.each([
    ['explicit', explicitLittleEndian, false],
    ['of undefined length', explicitLittleEndian, true],
    ['implicit', implicitLittleEndian, false],
    ['big endian', explicitBigEndian, false],
  ])('is read: %s', (_form, syntax, undefinedLength) => {
    const items = [item('S1', 'R1'), item(undefined, 'R2'), item(), item('', 'R3')]
    expect(read([{ tag: '00400275', vr: 'SQ', items, undefinedLength }], syntax)).toEqual([
      { ScheduledProcedureStepID: 'S1', RequestedProcedureID: 'R1' },
      { RequestedProcedureID: 'R2' },
      { RequestedProcedureID: 'R3' },
    ])
  })

  test('of equal files is one array, of others another', () => {
    const one = [{ tag: '00400275', vr: 'SQ', items: [item('S1', 'R1')] }]
    const other = [{ tag: '00400275', vr: 'SQ', items: [item('S1', 'R2')] }]
    const first = read(one)
    expect(read(one)).toBe(first)
    expect(read(other)).toEqual([{ ScheduledProcedureStepID: 'S1', RequestedProcedureID: 'R2' }])
    expect(read(one)).toEqual(first)
  })

  test.each<[where: string, elements: DicomElement[]]>([
    ['there is none', []],
    ['it has no items', [{ tag: '00400275', vr: 'SQ', items: [] }]],
    ['its items say nothing of it', [{ tag: '00400275', vr: 'SQ', items: [item()] }]],
    [
      'it belongs to an item of another sequence',
      [
        {
          tag: '00081115',
          vr: 'SQ',
          items: [[{ tag: '00400275', vr: 'SQ', items: [item('S1')] }]],
        },
      ],
    ],
  ])('is not there where %s', (_where, elements) => {
    expect(read(elements)).toBeUndefined()
  })
})
