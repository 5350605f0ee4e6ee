import { HttpProblem } from '../http/problem.ts'

/** A parameter cannot be used; the sentence names it, never its value. (QI-S6) */
export function badParameter(parameter: string, reason: string): HttpProblem {
  return new HttpProblem(400, `Cannot search by ${named(parameter)}: ${reason}`)
}

/** Attributes and words may be told; whatever else somebody wrote where a name belongs may be a value. (P10) */
function named(parameter: string): string {
  return /^[\w.]{1,128}$/.test(parameter) ? `"${parameter}"` : 'a parameter'
}
