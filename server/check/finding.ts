/** Where a finding is. Patients go by their key: an ID would be patient data. Null: nowhere. */
export interface Place {
  patientKey?: number
  studyInstanceUID?: string | null
  seriesInstanceUID?: string | null
  sopInstanceUID?: string
  segmentID?: string | null
  transferID?: string | null
}

export type Problem = keyof typeof advice

/** Something that should not be so. */
export interface Finding {
  problem: Problem
  place: Place
  /** What is wrong, with the numbers. */
  detail: string
}

export type Report = (finding: Finding) => void

const restore = 'restore the segment from a backup, or have the study deleted and sent again'
const restoreOrResend =
  'restore the segment from a backup, or let "stowage check --deep" mark it as damaged and have it sent again'
const isBug =
  'the instances themselves are safe; please report it, with what the server logged, for it should never happen'

/** Each problem, and what to do about it. */
export const advice = {
  'segment-missing': restoreOrResend,
  'segment-too-short': restoreOrResend,
  'segment-length': 'compare the segment with a backup; another program has changed it',
  'bytes-unreadable': 'look at the disk and at the rights of the folder, then check again',
  'digest-differs': restoreOrResend,
  'metadata-broken': restore,
  'metadata-names-other': restore,
  'row-invalid': 'restore the database from a backup; its row cannot be right',
  'instances-overlap': `one of the two has lost bytes: compare their digests; ${restore}`,
  'series-counts': isBug,
  'series-in-other-study': isBug,
  'series-without-instances': isBug,
  'study-counts': isBug,
  'study-modalities': isBug,
  'study-without-series': isBug,
  'study-of-other-patient': isBug,
  'patient-counts': isBug,
  'patient-without-studies': isBug,
  'instance-deleted': isBug,
  'staged-without-transfer': 'harmless: nothing reads these rows; please report it',
  'segment-without-transfer': 'harmless but for the space: nothing reads it; please report it',
  'segment-without-instances': 'harmless but for the space: nothing reads it; please report it',
  'segment-not-kept': 'stop the server before its sweep deletes the segment, then report it',
  'object-without-row':
    'a running server deletes it by itself within a quarter of an hour; if it stays, no server runs on this store',
  'object-foreign': 'no segment of Stowage has such a name; move it elsewhere',
} as const

/** `digest-differs  study 1.2 series 1.2.3 instance 1.2.3.4 segment 0b…: … -- restore …`. */
export function renderFinding({ problem, place, detail }: Finding): string {
  const where = Object.entries({
    patient: place.patientKey,
    study: place.studyInstanceUID,
    series: place.seriesInstanceUID,
    instance: place.sopInstanceUID,
    segment: place.segmentID,
    transfer: place.transferID,
  })
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name} ${value}`)
    .join(' ')
  return `${problem}  ${where}: ${detail}; ${advice[problem]}`
}
