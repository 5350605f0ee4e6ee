import type { Series, Study, searchInstances } from '../../db/instances.ts'

type Element = { vr: string; Value?: unknown[] }
export type Result = Record<string, Element>
type InstanceRow = Awaited<ReturnType<typeof searchInstances>>[number]

/** @param studiesURL `https://…/dicom-web/studies` @see PS3.18 Table 10.6.3-3 */
export function studyResult(study: Study, studiesURL: string): Result {
  return ordered({
    '00080020': element('DA', study.studyDate),
    '00080030': element('TM', study.studyTime),
    '00080050': element('SH', study.accessionNumber),
    '00080056': element('CS', 'ONLINE'),
    '00080061': element('CS', ...study.modalitiesInStudy),
    '00080090': personName(study.referringPhysicianName),
    '00080201': study.timezoneOffsetFromUTC
      ? element('SH', study.timezoneOffsetFromUTC)
      : undefined,
    '00081030': study.studyDescription ? element('LO', study.studyDescription) : undefined,
    '00081190': element('UR', `${studiesURL}/${study.studyInstanceUID}`),
    '00100010': personName(study.patientName),
    '00100020': element('LO', study.patientID),
    '00100030': element('DA', study.patientBirthDate),
    '00100040': element('CS', study.patientSex),
    '0020000D': element('UI', study.studyInstanceUID),
    '00200010': element('SH', study.studyID),
    '00201206': element('IS', study.seriesCount),
    '00201208': element('IS', study.instanceCount),
  })
}

/** @see PS3.18 Table 10.6.3-4 */
export function seriesResult(series: Series, study: Study, studiesURL: string): Result {
  const url = `${studiesURL}/${study.studyInstanceUID}/series/${series.seriesInstanceUID}`
  return ordered({
    '00080056': element('CS', 'ONLINE'),
    '00080060': element('CS', series.modality),
    '0008103E': series.seriesDescription ? element('LO', series.seriesDescription) : undefined,
    '00081190': element('UR', url),
    '00180015': series.bodyPartExamined ? element('CS', series.bodyPartExamined) : undefined,
    '0020000D': element('UI', study.studyInstanceUID),
    '0020000E': element('UI', series.seriesInstanceUID),
    '00200011': integer(series.seriesNumber),
    '00201209': element('IS', series.instanceCount),
    '00400244': series.performedProcedureStepStartDate
      ? element('DA', series.performedProcedureStepStartDate)
      : undefined,
    '00400245': series.performedProcedureStepStartTime
      ? element('TM', series.performedProcedureStepStartTime)
      : undefined,
  })
}

/** @see PS3.18 Table 10.6.3-5 */
export function instanceResult(
  { instance, series, study }: InstanceRow,
  studiesURL: string,
): Result {
  const { sopInstanceUID } = instance
  const url = `${studiesURL}/${study.studyInstanceUID}/series/${series.seriesInstanceUID}/instances/${sopInstanceUID}`
  return ordered({
    '00080016': element('UI', instance.sopClassUID),
    '00080018': element('UI', sopInstanceUID),
    '00080056': element('CS', 'ONLINE'),
    '00081190': element('UR', url),
    '00083002': element('UI', instance.transferSyntaxUID),
    '0020000D': element('UI', study.studyInstanceUID),
    '0020000E': element('UI', series.seriesInstanceUID),
    '00200013': integer(instance.instanceNumber),
    '00280008': numberIfKnown('IS', instance.numberOfFrames),
    '00280010': numberIfKnown('US', instance.rows),
    '00280011': numberIfKnown('US', instance.columns),
    '00280100': numberIfKnown('US', instance.bitsAllocated),
  })
}

function element(vr: string, ...values: (string | number | null)[]): Element {
  const present = values.filter((value) => value !== null && value !== '')
  return present.length === 0 ? { vr } : { vr, Value: present }
}

/** IS as a number where it is one, else as it is. (JS-14) */
function integer(text: string | null): Element {
  const number = Number(text)
  return element('IS', text !== null && /^\s*[+-]?\d+\s*$/.test(text) ? number : text)
}

function numberIfKnown(vr: string, value: number | null): Element | undefined {
  return value === null ? undefined : element(vr, value)
}

const groups = ['Alphabetic', 'Ideographic', 'Phonetic'] as const

function personName(text: string | null): Element {
  if (text === null || text === '') return { vr: 'PN' }
  const name: Partial<Record<(typeof groups)[number], string>> = {}
  for (const [index, part] of text.split('=').entries()) {
    const group = groups[index]
    if (group !== undefined && part !== '') name[group] = part
  }
  return { vr: 'PN', Value: [name] }
}

/** Keys ascending, without those that are not there. (JS-01) */
export function ordered(elements: Record<string, Element | undefined>): Result {
  const result: Result = {}
  for (const tag of Object.keys(elements).sort()) {
    const value = elements[tag]
    if (value !== undefined) result[tag] = value
  }
  return result
}
