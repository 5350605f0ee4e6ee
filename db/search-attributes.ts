import { integerOf } from './integer-of.ts'

/** The levels that are searched, from the highest down. */
export const searchLevels = ['study', 'series', 'instance'] as const
export type SearchLevel = (typeof searchLevels)[number]

/**
 * How the values of an attribute are compared. `text`: as they are, with wildcards. `uid`, `number`: as they
 * are. `name`, `time`, `integer`: in the form of `key`. `modality`: some series of the study has it.
 * `request`: a member of the items of Request Attributes Sequence.
 */
export type Comparison =
  | 'text'
  | 'code'
  | 'uid'
  | 'number'
  | 'integer'
  | 'name'
  | 'date'
  | 'time'
  | 'modality'
  | 'request'

export interface SearchAttribute {
  /** Of an attribute in a sequence: the path, with dots. */
  tag: string
  /** The same in keywords. */
  keyword: string
  vr: string
  level: SearchLevel
  /** SQL, with the aliases t, e and i for a row of studies, series and instances. */
  column: string
  /** What is compared, if not the column itself. */
  key?: string
  comparison: Comparison
  /** Returned only where there is a value; else also without. */
  isOptional?: boolean
  /** Of a time: its date, together with which it is one instant. */
  dateTag?: string
}

/** Implicit VR and big endian are never sent: such an instance is encoded anew. (PS3.18 8.7.3, 10.6.3.3) */
const availableTransferSyntax = `case
  when i.transfer_syntax_uid in ('1.2.840.10008.1.2', '1.2.840.10008.1.2.2') then '1.2.840.10008.1.2.1'
  else i.transfer_syntax_uid end`

/**
 * The attributes that rows hold: what a search matches, and what it answers without being asked.
 *
 * @see PS3.18 Tables 10.6.1-5 and 10.6.3-3 to 10.6.3-5. Beyond them: Study Description, Issuer of Patient ID, Body Part
 *   Examined, Available Transfer Syntax UID.
 */
export const searchAttributes: readonly SearchAttribute[] = [
  study('00080020', 'StudyDate', 'DA', 'date', 't.study_date'),
  {
    ...study('00080030', 'StudyTime', 'TM', 'time', 't.study_time', 't.study_time_key'),
    dateTag: '00080020',
  },
  study('00080050', 'AccessionNumber', 'SH', 'text', 't.accession_number'),
  study('00080061', 'ModalitiesInStudy', 'CS', 'modality', 't.modalities_in_study'),
  study(
    '00080090',
    'ReferringPhysicianName',
    'PN',
    'name',
    't.referring_physician_name',
    't.referring_physician_name_key',
  ),
  optional(study('00081030', 'StudyDescription', 'LO', 'text', 't.study_description')),
  study('00100010', 'PatientName', 'PN', 'name', 't.patient_name', 't.patient_name_key'),
  study('00100020', 'PatientID', 'LO', 'text', 't.patient_id'),
  optional(study('00100021', 'IssuerOfPatientID', 'LO', 'text', 't.issuer_of_patient_id')),
  study('00100030', 'PatientBirthDate', 'DA', 'date', 't.patient_birth_date'),
  study('00100040', 'PatientSex', 'CS', 'code', 't.patient_sex'),
  study('0020000D', 'StudyInstanceUID', 'UI', 'uid', 't.study_instance_uid'),
  study('00200010', 'StudyID', 'SH', 'text', 't.study_id'),
  study('00201206', 'NumberOfStudyRelatedSeries', 'IS', 'number', 't.series_count'),
  study('00201208', 'NumberOfStudyRelatedInstances', 'IS', 'number', 't.instance_count'),

  series('00080060', 'Modality', 'CS', 'code', 'e.modality'),
  optional(series('0008103E', 'SeriesDescription', 'LO', 'text', 'e.series_description')),
  optional(series('00180015', 'BodyPartExamined', 'CS', 'code', 'e.body_part_examined')),
  series('0020000E', 'SeriesInstanceUID', 'UI', 'uid', 'e.series_instance_uid'),
  series(
    '00200011',
    'SeriesNumber',
    'IS',
    'integer',
    'e.series_number',
    integerOf('e.series_number'),
  ),
  series('00201209', 'NumberOfSeriesRelatedInstances', 'IS', 'number', 'e.instance_count'),
  optional(
    series(
      '00400244',
      'PerformedProcedureStepStartDate',
      'DA',
      'date',
      'e.performed_procedure_step_start_date',
    ),
  ),
  {
    ...series(
      '00400245',
      'PerformedProcedureStepStartTime',
      'TM',
      'time',
      'e.performed_procedure_step_start_time',
      'e.performed_procedure_step_start_time_key',
    ),
    isOptional: true,
    dateTag: '00400244',
  },
  request('00400009', 'ScheduledProcedureStepID'),
  request('00401001', 'RequestedProcedureID'),

  instance('00080016', 'SOPClassUID', 'UI', 'uid', 'i.sop_class_uid'),
  instance('00080018', 'SOPInstanceUID', 'UI', 'uid', 'i.sop_instance_uid'),
  instance('00083002', 'AvailableTransferSyntaxUID', 'UI', 'uid', availableTransferSyntax),
  instance(
    '00200013',
    'InstanceNumber',
    'IS',
    'integer',
    'i.instance_number',
    integerOf('i.instance_number'),
  ),
  optional(instance('00280008', 'NumberOfFrames', 'IS', 'number', 'i.number_of_frames')),
  optional(instance('00280010', 'Rows', 'US', 'number', 'i.rows')),
  optional(instance('00280011', 'Columns', 'US', 'number', 'i.columns')),
  optional(instance('00280100', 'BitsAllocated', 'US', 'number', 'i.bits_allocated')),
]

type Rest = [vr: string, comparison: Comparison, column: string, key?: string]

function study(tag: string, keyword: string, ...rest: Rest): SearchAttribute {
  return attribute('study', tag, keyword, ...rest)
}

function series(tag: string, keyword: string, ...rest: Rest): SearchAttribute {
  return attribute('series', tag, keyword, ...rest)
}

function instance(tag: string, keyword: string, ...rest: Rest): SearchAttribute {
  return attribute('instance', tag, keyword, ...rest)
}

/** An attribute in the items of Request Attributes Sequence (0040,0275). */
function request(tag: string, keyword: string): SearchAttribute {
  const column = 'e.request_attributes_sequence'
  return {
    ...attribute('series', `00400275.${tag}`, keyword, 'SH', 'request', column),
    keyword: `RequestAttributesSequence.${keyword}`,
  }
}

function attribute(
  level: SearchLevel,
  tag: string,
  keyword: string,
  ...[vr, comparison, column, key]: Rest
): SearchAttribute {
  return { tag, keyword, vr, level, column, comparison, ...(key === undefined ? {} : { key }) }
}

function optional(attribute: SearchAttribute): SearchAttribute {
  return { ...attribute, isOptional: true }
}
