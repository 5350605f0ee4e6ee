import type { BodyLimits } from './body.ts'
import { readText } from './read-text.ts'

/**
 * @returns what a body says; undefined where it is no JSON.
 * @throws {HttpProblem} 413 too large, and what else `readBody` throws
 */
export async function readJSON(request: Request, limits: BodyLimits): Promise<unknown> {
  const text = await readText(request, limits)
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
