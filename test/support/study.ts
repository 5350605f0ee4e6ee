import { type DicomFileOptions, dicomFile, uniqueUID } from './dicom-file.ts'

export interface Study {
  studyInstanceUID: string
  patientID: string
  uids: string[]
  files: Uint8Array[]
  seriesInstanceUID: string
}

/** A study of one series. */
export function aStudy(
  count: number,
  seriesInstanceUID = uniqueUID(),
  studyInstanceUID = uniqueUID(),
  more: DicomFileOptions = {},
): Study {
  const uids = Array.from({ length: count }, () => uniqueUID())
  const patientID = studyInstanceUID
  const files = uids.map((sopInstanceUID) =>
    dicomFile({ studyInstanceUID, seriesInstanceUID, sopInstanceUID, patientID, ...more }),
  )
  return { studyInstanceUID, patientID, seriesInstanceUID, uids, files }
}
