import { describe, expect, test } from 'vitest'
import { dictionaryVR, entryOfKeyword, entryOfTag } from '../../server/dicom/dictionary.ts'
import { vrCode } from '../../server/dicom/vr.ts'

describe('the data dictionary (PS3.6)', () => {
  test('knows an attribute by its tag, in either case', () => {
    const patientID = { tag: '00100020', keyword: 'PatientID', vr: 'LO' }
    expect(entryOfTag('00100020')).toEqual(patientID)
    expect(entryOfTag('0020000d')).toEqual({
      tag: '0020000D',
      keyword: 'StudyInstanceUID',
      vr: 'UI',
    })
  })

  test('knows an attribute by its keyword', () => {
    expect(entryOfKeyword('ModalitiesInStudy')).toEqual({
      tag: '00080061',
      keyword: 'ModalitiesInStudy',
      vr: 'CS',
    })
    expect(entryOfKeyword('NoSuchKeyword')).toBeUndefined()
  })

  test('knows the groups that repeat', () => {
    expect(entryOfTag('60020010')).toEqual({ tag: '60020010', keyword: 'OverlayRows', vr: 'US' })
    expect(entryOfTag('60023000')?.keyword).toBe('OverlayData')
    expect(entryOfTag('50040005')?.keyword).toBe('CurveDimensions')
    expect(entryOfTag('60010010')).toBeUndefined()
  })

  test('gives a definite VR where PS3.6 leaves a choice (JS-23)', () => {
    expect(entryOfTag('7FE00010')?.vr).toBe('OW')
    expect(entryOfTag('00280106')?.vr).toBe('US')
    expect(entryOfTag('00283006')?.vr).toBe('OW')
  })

  test('knows of private tags only the creators (PS3.5 7.8.1)', () => {
    expect(dictionaryVR(0x00090010)).toBe(vrCode('LO'))
    expect(dictionaryVR(0x00091001)).toBe(0)
    expect(entryOfTag('00091001')).toBeUndefined()
  })
})
