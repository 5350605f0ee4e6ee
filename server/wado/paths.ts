import type { Context } from 'hono'
import type { ResourcePath } from '../../db/instances.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'

/** `{study}/series/{series}/instances/{instance}` */
export function instancePath(instance: Required<ResourcePath>): string {
  const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = instance
  return `${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`
}

export function studiesURLOf(c: Context<AppEnv>): string {
  return `${c.get('baseURL')}/dicom-web/studies`
}

export function instanceURLOf(c: Context<AppEnv>, instance: Required<ResourcePath>): string {
  return `${studiesURLOf(c)}/${instancePath(instance)}`
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

/**
 * Frame numbers, from 1, ascending: `1,3,4`.
 *
 * @throws {HttpProblem} 400 anything else (WA-S5)
 */
export function frameListOf(text: string): number[] {
  const numbers = text.split(',')
  const list = numbers.map((number) => (/^\d{1,9}$/.test(number) ? Number(number) : 0))
  const isAscending = list.every(
    (number, index) => number > (index === 0 ? 0 : (list[index - 1] as number)),
  )
  if (isAscending) return list
  throw new HttpProblem(
    400,
    'Cannot retrieve frames: the list must be numbers from 1, ascending, with commas between them',
  )
}
