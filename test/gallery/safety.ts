import { uniqueUID } from '../support/dicom-file.ts'
import { flipByte } from '../support/flip-byte.ts'
import type { StowageServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'
import { phantom, settle } from './data.ts'

const ctImageStorage = '1.2.840.10008.5.1.4.1.1.2'

/** Studies of which is known how much belongs to them: one whole and committed, one partial, one of which two say two things. */
export async function fillEvidence(
  server: StowageServer,
): Promise<{ partial: string; conflict: string }> {
  const whole = await send(server, 'CT Abdomen', 12, ['Brown^Alice', 'MRN-2002'])
  await declare(server, whole.studyInstanceUID, { instanceCount: 12 })
  await requestCommitment(server, whole.uids)
  await settle(server, whole.studyInstanceUID)
  const partial = await send(server, 'CT Head', 5, ['Moreau^Claire', 'MRN-2001'])
  const named = [...partial.uids, ...Array.from({ length: 9 }, () => uniqueUID())]
  await declare(server, partial.studyInstanceUID, { sopInstanceUIDs: named })
  const conflict = await send(server, 'CT Knee', 4, ['Haddad^Omar', 'MRN-2003'])
  await declare(server, conflict.studyInstanceUID, { instanceCount: 3 })
  return { partial: partial.studyInstanceUID, conflict: conflict.studyInstanceUID }
}

/** What went wrong, or was done on purpose. */
export interface SafetyData {
  /** Committed, then one of its instances was damaged. */
  damaged: string
  deleted: string
  /** Some of it was committed, some is not here. */
  failedTransaction: string
}

export async function fillSafety(server: StowageServer): Promise<SafetyData> {
  const damaged = await send(server, 'CT Pelvis', 6, ['Rossi^Elena', 'MRN-2004'])
  const url = `${server.url}/api/studies/${damaged.studyInstanceUID}`
  await requestCommitment(server, damaged.uids)
  await flipByte(server, damaged.uids[2] as string)
  await fetch(`${url}/verify`, { method: 'POST' })
  const failedTransaction = await requestCommitment(server, [
    ...damaged.uids,
    ...Array.from({ length: 3 }, () => uniqueUID()),
  ])
  const deleted = await send(server, 'CT of another patient', 4, ['Weber^Karl', 'MRN-2005'])
  await fetch(`${server.dicomWeb}/studies/${deleted.studyInstanceUID}`, {
    method: 'DELETE',
    body: JSON.stringify({ reason: 'Sent under the wrong patient; the modality sends it again' }),
  })
  return {
    damaged: damaged.studyInstanceUID,
    deleted: deleted.studyInstanceUID,
    failedTransaction,
  }
}

async function send(
  server: StowageServer,
  studyDescription: string,
  count: number,
  [patientName, patientID]: [name: string, id: string],
) {
  const [studyInstanceUID, seriesInstanceUID] = [uniqueUID(), uniqueUID()]
  const uids = Array.from({ length: count }, () => uniqueUID())
  const files = uids.map((sopInstanceUID, index) =>
    phantom(index / count, {
      studyInstanceUID,
      seriesInstanceUID,
      sopInstanceUID,
      studyDescription,
      patientName,
      patientID,
      accessionNumber: `ACC-${patientID.slice(4)}`,
      modality: 'CT',
      sopClassUID: ctImageStorage,
      studyDate: '20261103',
      seriesNumber: 1,
      instanceNumber: index + 1,
    }),
  )
  await stow(`${server.dicomWeb}/studies`, files, { 'user-agent': 'gateway-3/2.1' })
  return { studyInstanceUID, uids }
}

async function declare(server: StowageServer, study: string, body: object): Promise<void> {
  await fetch(`${server.url}/api/studies/${study}/evidence`, {
    method: 'PUT',
    body: JSON.stringify(body),
  })
}

async function requestCommitment(server: StowageServer, uids: string[]): Promise<string> {
  const transaction = uniqueUID()
  const items = uids.map((uid) => ({
    '00081150': { vr: 'UI', Value: [ctImageStorage] },
    '00081155': { vr: 'UI', Value: [uid] },
  }))
  await fetch(`${server.dicomWeb}/commitment-requests/${transaction}`, {
    method: 'POST',
    headers: { 'content-type': 'application/dicom+json', 'user-agent': 'CT-1 commitment client' },
    body: JSON.stringify({ '00081199': { vr: 'SQ', Value: items } }),
  })
  return transaction
}
