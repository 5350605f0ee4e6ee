import type { Claim } from '../../db/evidence.ts'
import { isUID } from '../dicom/uid.ts'

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
    for (let offset = 0; ; offset += pageSize) {
      const page = await askPage(peer, studyInstanceUID, offset, signal)
      if (typeof page === 'string') return { instanceCount: null, detail: page }
      const before = found.size
      for (const uid of page) found.add(uid)
      if (found.size > mostInstances) {
        return { instanceCount: null, detail: `It has more than ${mostInstances} instances` }
      }
      // A server may answer less than it was asked for; one that repeats itself knows no offset.
      if (page.length === 0 || found.size === before) break
    }
  } catch (error) {
    const isLate = (error as Error).name === 'TimeoutError'
    const detail = isLate ? `No answer within ${peer.timeoutMs / 1000} s` : 'No answer'
    return { instanceCount: null, detail }
  }
  if (found.size === 0) return { instanceCount: null, detail: 'It does not have this study' }
  return { instanceCount: found.size, sopInstanceUIDs: [...found] }
}

/** @returns the SOP Instance UIDs of a page, or why there is none. */
async function askPage(
  { url, token, timeoutMs }: Peer,
  studyInstanceUID: string,
  offset: number,
  signal: AbortSignal,
): Promise<string[] | string> {
  const query = `StudyInstanceUID=${studyInstanceUID}&limit=${pageSize}&offset=${offset}`
  const answer = await fetch(`${url}/studies/${studyInstanceUID}/instances?${query}`, {
    headers: {
      accept: 'application/dicom+json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  })
  if (answer.status === 204 || answer.status === 404) return []
  if (answer.status !== 200) return `It answered ${answer.status}`
  const results: unknown = await answer.json().catch(() => undefined)
  if (!Array.isArray(results)) return 'Its answer is no DICOM JSON'
  const uids = results.map((one) => one?.['00080018']?.Value?.[0])
  return uids.every((uid) => typeof uid === 'string' && isUID(uid))
    ? (uids as string[])
    : 'Its answer has instances without a SOP Instance UID'
}
