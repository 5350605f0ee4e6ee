import { describe, expect, test } from 'vitest'
import { corpusFile, corpusFiles, whyNoCorpus } from '../support/dicom-corpus.ts'
import { metadataOf, readInstance, refusalOf } from '../support/dicom-reading.ts'

const missing = whyNoCorpus()

/**
 * Every file of the corpus that is refused, and why. A file that is not here must be taken, so that nothing is
 * refused by accident; one that is here must be refused for this reason.
 */
const refused: Record<string, [name: string, failureReason: number]> = {
  // The data set without preamble and File Meta Information (DV-02).
  'dicom-test-files/pydicom/OT-PAL-8-face.dcm': ['NotDicomError', 0xc000],
  'pydicom/ExplVR_BigEndNoMeta.dcm': ['NotDicomError', 0xc000],
  'pydicom/ExplVR_LitEndNoMeta.dcm': ['NotDicomError', 0xc000],
  'pydicom/no_meta.dcm': ['NotDicomError', 0xc000],
  'pydicom/rtstruct.dcm': ['NotDicomError', 0xc000],
  // No (0002,0010) (DV-03).
  'pydicom/meta_missing_tsyntax.dcm': ['FileMetaError', 0xc000],
  // Ends inside an element; the last one inside its second fragment (DV-04).
  'pydicom/MR_truncated.dcm': ['TruncatedError', 0xc000],
  'pydicom/rtplan_truncated.dcm': ['TruncatedError', 0xc000],
  'dicom-test-files/pydicom/emri_small_jpeg_2k_lossless_too_short.dcm': ['TruncatedError', 0xc000],
  // Says Explicit VR, is Implicit VR throughout. dcmtk refuses it, too; pydicom guesses.
  'pydicom/SC_rgb_jpeg.dcm': ['UnknownVRError', 0xc000],
  // (0002,0003) is not (0008,0018) (DV-08).
  'pydicom/badVR.dcm': ['FileMetaMismatchError', 0xa900],
  'pydicom/charset/chrJapMulti.dcm': ['FileMetaMismatchError', 0xa900],
  'pydicom/charset/chrJapMultiExplicitIR6.dcm': ['FileMetaMismatchError', 0xa900],
  'pydicom/rtdose.dcm': ['FileMetaMismatchError', 0xa900],
  'pydicom/rtdose_1frame.dcm': ['FileMetaMismatchError', 0xa900],
  'pydicom/rtdose_expb.dcm': ['FileMetaMismatchError', 0xa900],
  'pydicom/rtdose_expb_1frame.dcm': ['FileMetaMismatchError', 0xa900],
  'pydicom/rtplan.dcm': ['FileMetaMismatchError', 0xa900],
  // Cuttings that hold no Study, Series or SOP Instance UID (DV-09).
  'dicom-test-files/pydicom/priv_SQ.dcm': ['MissingAttributeError', 0x0120],
  'pydicom/JPEGLSNearLossless_08.dcm': ['MissingAttributeError', 0x0120],
  'pydicom/JPEGLSNearLossless_16.dcm': ['MissingAttributeError', 0x0120],
  'pydicom/SC_rgb_jls_lossy_line.dcm': ['MissingAttributeError', 0x0120],
  'pydicom/SC_rgb_jls_lossy_sample.dcm': ['MissingAttributeError', 0x0120],
  'pydicom/UN_sequence.dcm': ['MissingAttributeError', 0x0120],
  'pydicom/charset/chrSQEncoding.dcm': ['MissingAttributeError', 0x0120],
  'pydicom/charset/chrSQEncoding1.dcm': ['MissingAttributeError', 0x0120],
  'pydicom/empty_charset_LEI.dcm': ['MissingAttributeError', 0x0120],
  'pydicom/nested_priv_SQ.dcm': ['MissingAttributeError', 0x0120],
  'pydicom/no_meta_group_length.dcm': ['MissingAttributeError', 0x0120],
  'pydicom/priv_SQ.dcm': ['MissingAttributeError', 0x0120],
  // Its SOP Instance UID has a component with a leading zero (DV-11).
  'dicom-test-files/pydicom/bad_sequence.dcm': ['InvalidUIDError', 0x0117],
}

describe.skipIf(missing !== undefined)('real files', () => {
  test('are taken, or refused for the reason that is written here', () => {
    const found: typeof refused = {}
    for (const path of corpusFiles()) {
      const refusal = refusalOf(corpusFile(path))
      if (refusal !== undefined) found[path] = [refusal.name, refusal.failureReason]
    }
    expect(found).toEqual(refused)
  })

  test('read the same in small chunks as in large ones', () => {
    const representative = corpusFiles().filter((path) => corpusFile(path).length < 20_000)
    expect(representative.length).toBeGreaterThan(80)
    for (const path of representative) {
      if (path in refused) continue
      const file = corpusFile(path)
      const whole = readInstance(file, file.length)
      for (const size of [1, 7, 1000]) {
        const pieces = readInstance(file, size)
        expect({ ...pieces, metadata: null }).toEqual({ ...whole, metadata: null })
        expect(Buffer.compare(pieces.metadata, whole.metadata), path).toBe(0)
      }
    }
  })

  test('are warned about only where an attribute is really odd (DV-19)', () => {
    const warned: Record<string, string[]> = {}
    for (const path of corpusFiles()) {
      if (path in refused) continue
      for (const { keyword, reason } of readInstance(corpusFile(path)).warnings) {
        const said = `${keyword} ${reason}`
        warned[said] = [...(warned[said] ?? []), path]
      }
    }
    // The forms of ACR-NEMA: 1997.04.24 and 14:04:38 (VA-7).
    const old = [
      'dicom-test-files/pydicom/color-pl.dcm',
      'dicom-test-files/pydicom/color-px.dcm',
      'pydicom/ExplVR_BigEnd.dcm',
    ]
    expect(warned).toEqual({ 'StudyDate is not a date': old, 'StudyTime is not a time': old })
  })

  test('have their three levels and modality', () => {
    const { attributes, ...identity } = readInstance(corpusFile('pydicom/CT_small.dcm'))
    expect(identity.studyInstanceUID).toBe('1.3.6.1.4.1.5962.1.2.1.20040119072730.12322')
    expect(attributes).toMatchObject({ modality: 'CT', rows: '128', patientID: '1CT1' })
    const model = metadataOf(readInstance(corpusFile('pydicom/CT_small.dcm')))
    expect(model['7FE00010']?.BulkDataURI).toBe('bulkdata/7FE00010/6300-32768')
  })
})
