import type { ResourcePath } from '../../db/instances.ts'
import { isUID } from '../dicom/uid.ts'
import { HttpProblem } from '../http/problem.ts'

/** `{study}/series/{series}/instances/{instance}` */
export function instancePath(instance: Required<ResourcePath>): string {
  const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = instance
  return `${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`
}

/** @throws {HttpProblem} 400 a part of the path is no UID (WA-S5) */
export function resourceOf(parameters: Record<string, string>): ResourcePath {
  const { study, series, instance } = parameters
  for (const uid of [study, series, instance]) {
    if (uid !== undefined && !isUID(uid)) {
      throw new HttpProblem(400, 'Cannot retrieve this: the path has no valid UID')
    }
  }
  return {
    studyInstanceUID: study as string,
    seriesInstanceUID: series,
    sopInstanceUID: instance,
  }
}
