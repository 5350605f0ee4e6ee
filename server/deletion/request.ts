import type { DeletionRequest } from '../../db/deletions.ts'
import { HttpProblem } from '../http/problem.ts'
import { readText, smallBody } from '../http/read-text.ts'

const reasonCharacters = 1000

/**
 * Reads `{"reason", "force", "allowResend"}`; no body says nothing, as DICOMweb clients do.
 *
 * @throws {HttpProblem} 400, naming the member; 413
 */
export async function readDeletionRequest(request: Request): Promise<DeletionRequest> {
  const text = (await readText(request, smallBody)).trim()
  return text === '' ? {} : requestOf(parsed(text))
}

/** @throws {HttpProblem} 400 */
function requestOf(body: unknown): DeletionRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw problem('the body is no JSON object')
  }
  const request: DeletionRequest = {}
  for (const [name, value] of Object.entries(body)) {
    if (name === 'reason') {
      if (typeof value !== 'string' || value.length > reasonCharacters || value.includes('\0')) {
        throw problem(`"reason" is no text of ${reasonCharacters} characters at most`)
      }
      if (value.trim() !== '') request.reason = value.trim()
    } else if (name === 'force' || name === 'allowResend') {
      if (typeof value !== 'boolean') throw problem(`"${name}" is neither true nor false`)
      request[name] = value
    } else {
      const quoted = JSON.stringify(name.slice(0, 40))
      throw problem(`the body has ${quoted}, which is none of reason, force, allowResend`)
    }
  }
  return request
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw problem('the body is no JSON')
  }
}

function problem(what: string): HttpProblem {
  return new HttpProblem(400, `Cannot delete: ${what}`)
}
