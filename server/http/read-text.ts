import { Buffer } from 'node:buffer'
import { type BodyLimits, checkBody, readBody } from './body.ts'

/** For what people and programs say in some lines. */
export const smallBody = { requestBytes: 64 * 1024, inflateRatio: 100, idleMs: 10_000 }

/**
 * What a body says, in UTF-8. Unlike `text()` of a request it has limits: nobody keeps a place by sending nothing, or sends
 * without an end.
 *
 * @throws {HttpProblem} 413 too large, and what else `readBody` throws
 */
export async function readText(request: Request, limits: BodyLimits): Promise<string> {
  checkBody(request.headers, limits)
  const chunks: Uint8Array[] = []
  for await (const chunk of readBody(request, limits, () => {})) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
