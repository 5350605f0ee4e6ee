import { type BodyLimits, checkBody, readBody } from './body.ts'

/**
 * @returns what a body says; undefined where it is no JSON.
 * @throws {HttpProblem} 413 too large, and what else `readBody` throws
 */
export async function readJSON(request: Request, limits: BodyLimits): Promise<unknown> {
  checkBody(request.headers, limits)
  const chunks: Uint8Array[] = []
  for await (const chunk of readBody(request, limits, () => {})) chunks.push(chunk)
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    return undefined
  }
}
