import type { Claim } from '../../db/evidence.ts'
import { isUID } from '../dicom/uid.ts'
import { timeLimit } from '../http/time-limit.ts'

/** A DICOMweb server that is asked what it has of a study. */
export interface Peer {
  /** Its base: `https://pacs.example/dicom-web`. */
  url: string
  /** Sent as a bearer token. */
  token: string | undefined
  timeoutMs: number
}

const pageSize = 5000
const mostInstances = 200_000
/** Of one answer: 5,000 instances with 12 KB each. */
const mostBytes = 64 * 1024 * 1024

/**
 * Asks a peer by QIDO-RS for the instances that it has of a study. (PS3.18 10.6)
 *
 * Never throws. Where nothing could be had the claim has no count, and says why: no answer says nothing of the study,
 * and a peer that does not have it does not say that it is empty.
 */
export async function askPeer(
  peer: Peer,
  studyInstanceUID: string,
  signal: AbortSignal,
): Promise<Claim> {
  const found = new Set<string>()
  try {
    for (let isAll = false; !isAll; ) {
      const page = await askPage(peer, studyInstanceUID, found.size, signal)
      if (typeof page === 'string') return { instanceCount: null, detail: page }
      const before = found.size
      for (const uid of page.uids) found.add(uid)
      if (found.size > mostInstances) {
        return { instanceCount: null, detail: `It has more than ${mostInstances} instances` }
      }
      // A server may answer less than it was asked for; one that repeats itself knows no offset.
      const repeats = page.uids.length > 0 && found.size === before
      if (repeats && (page.isCut || page.uids.length >= pageSize)) {
        const detail = 'It has more than it tells, and gives the same for every offset'
        return { instanceCount: null, detail }
      }
      isAll = page.uids.length === 0 || repeats
    }
  } catch (error) {
    const isLate = (error as Error).name === 'TimeoutError'
    const detail = isLate ? `No answer within ${peer.timeoutMs / 1000} s` : 'No answer'
    return { instanceCount: null, detail }
  }
  if (found.size === 0) return { instanceCount: null, detail: 'It does not have this study' }
  return { instanceCount: found.size, sopInstanceUIDs: [...found] }
}

interface Page {
  uids: string[]
  /** It says that there are more. (PS3.18 8.3.4.4) */
  isCut: boolean
}

/** @returns the SOP Instance UIDs from `offset` on, or why there are none. */
async function askPage(
  { url, token, timeoutMs }: Peer,
  studyInstanceUID: string,
  offset: number,
  signal: AbortSignal,
): Promise<Page | string> {
  const query = `limit=${pageSize}&offset=${offset}`
  using limit = timeLimit(timeoutMs, signal)
  const answer = await fetch(`${url}/studies/${studyInstanceUID}/instances?${query}`, {
    headers: {
      accept: 'application/dicom+json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    redirect: 'error',
    signal: limit.signal,
  })
  if (answer.status !== 200) {
    await answer.body?.cancel()
    if (answer.status === 204 || answer.status === 404) return { uids: [], isCut: false }
    return `It answered ${answer.status}`
  }
  const results = await readResults(answer)
  if (typeof results === 'string') return results
  const uids = results.map((one) => one?.['00080018']?.Value?.[0])
  if (!uids.every((uid) => typeof uid === 'string' && isUID(uid))) {
    return 'Its answer has instances without a SOP Instance UID'
  }
  const warning = answer.headers.get('warning') ?? ''
  return { uids: uids as string[], isCut: /^299\b/.test(warning) }
}

type Result = Record<string, { Value?: unknown[] } | undefined> | null

async function readResults(answer: Response): Promise<Result[] | string> {
  const chunks: Uint8Array[] = []
  let byteLength = 0
  for await (const chunk of answer.body ?? []) {
    byteLength += chunk.length
    if (byteLength > mostBytes) return `Its answer has more than ${mostBytes} bytes`
    chunks.push(chunk)
  }
  try {
    const results: unknown = JSON.parse(Buffer.concat(chunks).toString())
    if (Array.isArray(results)) return results
  } catch {}
  return 'Its answer is no DICOM JSON'
}
