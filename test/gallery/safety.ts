import { uniqueUID } from '../support/dicom-file.ts'
import { flipByte } from '../support/flip-byte.ts'
import type { StowageServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'
import { phantom } from './data.ts'

/** Studies of which more, or less, is known than that they came. */
export interface SafetyData {
  partial: string
  conflict: string
  /** Committed, then one of its instances was damaged. */
  damaged: string
  deleted: string
  /** Some of it was committed, some is not here. */
  failedTransaction: string
}

const ctImageStorage = '1.2.840.10008.5.1.4.1.1.2'

export async function fillSafety(server: StowageServer): Promise<SafetyData> {
  const partial = await send(server, 'CT Head', 5)
  const named = [...partial.uids, ...Array.from({ length: 149 }, () => uniqueUID())]
  await declare(server, partial.studyInstanceUID, { sopInstanceUIDs: named })
  const conflict = await send(server, 'MR Knee', 4)
  await declare(server, conflict.studyInstanceUID, { instanceCount: 3 })
  const damaged = await send(server, 'CT Pelvis', 6)
  const url = `${server.url}/api/studies/${damaged.studyInstanceUID}`
  await requestCommitment(server, damaged.uids)
  await flipByte(server, damaged.uids[2] as string)
  await fetch(`${url}/verify`, { method: 'POST' })
  const failedTransaction = await requestCommitment(server, [
    ...damaged.uids,
    ...Array.from({ length: 3 }, () => uniqueUID()),
  ])
  const deleted = await send(server, 'CT of another patient', 4)
  await fetch(`${server.dicomWeb}/studies/${deleted.studyInstanceUID}`, {
    method: 'DELETE',
    body: JSON.stringify({ reason: 'Sent under the wrong patient; the modality sends it again' }),
  })
  return {
    partial: partial.studyInstanceUID,
    conflict: conflict.studyInstanceUID,
    damaged: damaged.studyInstanceUID,
    deleted: deleted.studyInstanceUID,
    failedTransaction,
  }
}

async function send(server: StowageServer, studyDescription: string, count: number) {
  const [studyInstanceUID, seriesInstanceUID] = [uniqueUID(), uniqueUID()]
  const uids = Array.from({ length: count }, () => uniqueUID())
  const files = uids.map((sopInstanceUID, index) =>
    phantom(index / count, {
      studyInstanceUID,
      seriesInstanceUID,
      sopInstanceUID,
      studyDescription,
      patientName: 'Moreau^Claire',
      patientID: 'MRN-2001',
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
