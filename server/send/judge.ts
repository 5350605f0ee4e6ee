import type { StudyFile } from './find-studies.ts'
import type { Answer } from './post.ts'
import { parseRetryAfter } from './retry.ts'
import { readStoreResponse, type StoreResponse } from './store-response.ts'

export type Verdict =
  /** The server said what became of each instance. `failure`: and that does not fit together. */
  | { kind: 'answered'; response: StoreResponse; failure?: string }
  /** The same request again may succeed. */
  | { kind: 'passing'; reason: string; retryAfterMs?: number | undefined; isAway?: boolean }
  /** The server does not take `Expect`: the same again without. */
  | { kind: 'unexpected' }
  /** `isForAll`: and no other study would fare better. */
  | { kind: 'failed'; reason: string; isForAll?: boolean; isAway?: boolean }

const passingStatuses = new Set([408, 429, 502, 503, 504])

/** What to do, by status; each completes "the server answered 413: ...". */
const advice: Record<number, string> = {
  401: "it wants to know who sends; add --header 'Authorization: ...'",
  403: "the sender may not store here; look at --header 'Authorization: ...' and at the server's rights",
  406: 'it cannot answer in application/dicom+json, so nobody could tell what was stored',
  411: 'something between here and the server drops the length of the request',
  413: 'the study is larger than the server takes in one request; raise its limits (of Stowage: STOWAGE_MAX_REQUEST_BYTES, STOWAGE_MAX_PART_BYTES, STOWAGE_MAX_PARTS; of a proxy: the size of a body), then send again',
  415: 'it does not take multipart/related with application/dicom',
  507: "the server's storage is full; make space there, then send again",
}

/** What is wrong with all requests alike, and not with one study. */
const statusesForAll = new Set([401, 404, 405, 406, 411, 415])

/**
 * What an answer to a STOW-RS request means. (PS3.18 Table 10.5.3-1)
 *
 * @param baseURL For the advice when it is not the base of a DICOMweb server.
 */
export function judge(answer: Answer, files: StudyFile[], baseURL: string, now: number): Verdict {
  const { status } = answer
  if (status === 200 || status === 202 || status === 409) return judgeResponse(answer, files)
  if (status === 417) return { kind: 'unexpected' }
  if (passingStatuses.has(status)) {
    const retryAfterMs = parseRetryAfter(answer.headers['retry-after'], now)
    return {
      kind: 'passing',
      reason: withDetail(`the server answered ${status}`, answer),
      retryAfterMs,
    }
  }
  const isForAll = statusesForAll.has(status) || (status >= 300 && status < 400)
  const reason = withDetail(`the server answered ${status}${adviceOn(answer, baseURL)}`, answer)
  return { kind: 'failed', reason, isForAll }
}

function judgeResponse(answer: Answer, files: StudyFile[]): Verdict {
  const response = readStoreResponse(answer.body, files)
  if (response === undefined) {
    return {
      kind: 'failed',
      reason: `the server answered ${answer.status}, but not with a Store Instances Response in application/dicom+json, so nobody can tell what was stored`,
    }
  }
  if (answer.isEarly && answer.status !== 409) {
    return {
      kind: 'failed',
      reason: `the server answered ${answer.status} before it had the whole request`,
    }
  }
  const { length } = response.unnamed
  if (length === 0) return { kind: 'answered', response }
  const rest = length === files.length ? 'none of them' : `not ${length} of them`
  return {
    kind: 'answered',
    response,
    failure: `${files.length} instances were sent, and the answer (${answer.status}) names ${rest}`,
  }
}

function adviceOn({ status, headers }: Answer, baseURL: string): string {
  if (status >= 300 && status < 400) {
    const { location } = headers
    return typeof location === 'string'
      ? `: it wants the request at ${printable(location)}; write its base after --to`
      : ''
  }
  if (status === 404 || status === 405) {
    return `: nothing can be stored at ${baseURL}; write the DICOMweb base after --to, such as ${new URL(baseURL).origin}/dicom-web`
  }
  return advice[status] === undefined ? '' : `: ${advice[status]}`
}

/** The detail of a problem (RFC 9457) is written for the client; of any other text nobody knows what is in it. */
function withDetail(reason: string, { headers, body }: Answer): string {
  if (!String(headers['content-type']).startsWith('application/problem+json')) return reason
  try {
    const { detail } = JSON.parse(body.toString()) as { detail?: unknown }
    return typeof detail === 'string' ? `${reason} (it says: ${printable(detail)})` : reason
  } catch {
    return reason
  }
}

/** One line of at most 300 characters that does nothing to a terminal. */
function printable(text: string): string {
  const line = text.replace(/\p{C}+/gu, ' ')
  return line.length > 300 ? `${line.slice(0, 300)}...` : line
}
