/** The facts of one instance, as {@link InstanceReader} finds them. */
export interface Instance {
  transferSyntaxUID: string
  sopClassUID: string
  sopInstanceUID: string
  studyInstanceUID: string
  seriesInstanceUID: string
  /** Root-level attributes that have a value: decoded, padding removed, several values joined by a backslash. */
  attributes: Attributes
  /** The DICOM JSON model (PS3.18 Annex F): one object, UTF-8, without group 0002, keys ascending. */
  metadata: Uint8Array
  /** What is wrong but does not stop the instance from being stored (DV-19). Never holds a value. */
  warnings: Warning[]
}

export interface Warning {
  /** DICOM keyword: `StudyDate`. */
  keyword: string
  /** What is wrong with its value, without the value: `is not a date`. */
  reason: string
}

/** What is known of an instance's identity; each may be missing when the file is broken. */
export interface Identity {
  sopClassUID?: string
  sopInstanceUID?: string
  studyInstanceUID?: string
  seriesInstanceUID?: string
}

export type Attributes = { [name in AttributeKeyword]?: string | undefined } & {
  /** Equal files of one series have the same array. */
  requestAttributesSequence?: readonly RequestAttributes[] | undefined
}

/** What an item of Request Attributes Sequence (0040,0275) says, by DICOM keyword, where it has a value. */
export interface RequestAttributes {
  ScheduledProcedureStepID?: string
  RequestedProcedureID?: string
}

export type AttributeKeyword =
  | 'cardiacNumberOfImages'
  | 'imagesInAcquisition'
  | 'numberOfSeriesRelatedInstances'
  | 'numberOfSlices'
  | 'numberOfStudyRelatedInstances'
  | 'numberOfTemporalPositions'
  | 'numberOfTimeSlices'
  | 'patientID'
  | 'issuerOfPatientID'
  | 'patientName'
  | 'patientBirthDate'
  | 'patientSex'
  | 'studyDate'
  | 'studyTime'
  | 'accessionNumber'
  | 'studyID'
  | 'studyDescription'
  | 'referringPhysicianName'
  | 'timezoneOffsetFromUTC'
  | 'modality'
  | 'seriesNumber'
  | 'seriesDescription'
  | 'bodyPartExamined'
  | 'performedProcedureStepStartDate'
  | 'performedProcedureStepStartTime'
  | 'instanceNumber'
  | 'numberOfFrames'
  | 'rows'
  | 'columns'
  | 'bitsAllocated'
