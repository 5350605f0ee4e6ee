import type { Range } from '../../db/search-conditions.ts'
import { fault } from '../dicom/value-syntax.ts'
import { badParameter } from './bad-parameter.ts'

/**
 * A DA, or a range of them: `20240101-20240131`, `20240101-`, `-20240131`. (PS3.4 C.2.2.2.5)
 *
 * @throws {HttpProblem} 400
 */
export function parseDateRange(parameter: string, value: string): string | Range {
  const isDate = (text: string) => fault('date', text) === undefined
  const bounds = value.split('-')
  if (bounds.length > 2 || !isPresent(bounds) || !bounds.every((b) => b === '' || isDate(b))) {
    throw badParameter(
      parameter,
      'its value is neither a date of the form YYYYMMDD nor two of them with "-" between',
    )
  }
  return bounds.length === 1 ? value : rangeOf(bounds, same, same)
}

/**
 * A TM, or a range of them, in the form of the database: `101500.000000`.
 *
 * 2230 is 223000. A range goes to the end of what its last bound names: `-10` to 10:59:59.999999.
 *
 * @throws {HttpProblem} 400
 */
export function parseTimeRange(parameter: string, value: string): string | Range {
  const isTime = (text: string) => fault('time', text) === undefined
  const bounds = value.split('-')
  if (bounds.length > 2 || !isPresent(bounds) || !bounds.every((b) => b === '' || isTime(b))) {
    throw badParameter(
      parameter,
      'its value is neither a time of the form HHMMSS nor two of them with "-" between',
    )
  }
  return bounds.length === 1 ? beginOf(value) : rangeOf(bounds, beginOf, endOf)
}

function isPresent(bounds: string[]): boolean {
  return bounds.some((bound) => bound !== '')
}

function rangeOf(
  [from = '', to = '']: string[],
  begin: (text: string) => string,
  end: (text: string) => string,
): Range {
  return {
    ...(from === '' ? {} : { from: begin(from) }),
    ...(to === '' ? {} : { to: end(to) }),
  }
}

const same = (text: string) => text

function beginOf(time: string): string {
  return filled(time, '000000', '000000')
}

function endOf(time: string): string {
  return filled(time, '235959', '999999')
}

function filled(time: string, day: string, second: string): string {
  const [clock = '', fraction = ''] = time.split('.')
  return `${clock}${day.slice(clock.length)}.${fraction}${second.slice(fraction.length)}`
}
