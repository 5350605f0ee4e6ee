import { expect, test } from 'vitest'
import { noteSentNames, sentNamesIn } from '../support/sent-names.ts'

test('a log with a name or an ID that was sent is found out, whatever stands around it', () => {
  noteSentNames([
    { tag: '00100010', vr: 'PN', value: 'Marker^Martha' },
    { tag: '00100020', vr: 'LO', value: 'MARK-0815' },
    { tag: '00100040', vr: 'CS', value: 'F' },
    { tag: '00080060', vr: 'CS', value: 'CT' },
  ])
  expect(sentNamesIn('2026 error no such name="Marker^Martha"')).toContain('Marker^Martha')
  expect(sentNamesIn('{"path":"/studies?PatientName=Martha*"}')).toEqual(['Martha'])
  expect(sentNamesIn('{"key":"MARK-0815"}')).toEqual(['MARK-0815'])
  expect(sentNamesIn('transfer=6b3ee2f2-5b6c F CT XMARK-08159')).toEqual([])
})
