import type { StudyCursor } from '../../db/listing.ts'
import type { ListedStudy } from '../../db/study-list.ts'
import type { Transfer } from '../../db/transfers.ts'
import { type Markup, textOf } from '../../web/respond.tsx'

/** Markup as the text that a reader sees: without tags, spaces as they are. */
export function readable(markup: Markup): string {
  return textOf(markup)
    .replace(/<[^>]+>/g, ' ')
    .replaceAll('\u00a0', ' ')
    .replace(/\s+/g, ' ')
    .trim()
}

export function aStudy(changes: Partial<ListedStudy> = {}): ListedStudy {
  return {
    studyKey: 1,
    studyInstanceUID: '1.2.840.1',
    patientKey: 1,
    patientID: 'P-1',
    issuerOfPatientID: null,
    patientName: 'Doe^Jane',
    patientBirthDate: '19700131',
    patientSex: 'F',
    studyDate: '20240301',
    studyTime: null,
    accessionNumber: 'A-1',
    studyID: null,
    studyDescription: 'CT Thorax',
    referringPhysicianName: null,
    timezoneOffsetFromUTC: null,
    modalitiesInStudy: ['CT', 'SR'],
    patientNameKey: 'doe^jane',
    referringPhysicianNameKey: null,
    studyTimeKey: null,
    seriesCount: 2,
    instanceCount: 1204,
    byteLength: 61_200_000,
    firstReceivedAt: new Date('2026-03-01T12:00:00Z'),
    lastReceivedAt: new Date('2026-03-01T12:34:56.789Z'),
    generation: 1,
    dueAt: null,
    quietSeconds: 60,
    reopenedAt: null,
    settledAt: new Date('2026-03-01T12:35:56.789Z'),
    settledSeriesCount: 2,
    settledInstanceCount: 1204,
    settledByteLength: 61_200_000,
    contentDigest: null,
    verdict: 'unknown',
    expectedInstanceCount: null,
    committedInstanceCount: 0,
    damagedInstanceCount: 0,
    cursor: '2026-03-01T12:34:56.789000Z~1' as StudyCursor,
    state: 'stable',
    settlesAt: null,
    refusalCount: 0,
    warningCount: 0,
    ...changes,
  }
}

export function aTransfer(changes: Partial<Transfer> = {}): Transfer {
  return {
    transferID: '6b3ee2f2-5b6c-4a7a-9a2f-0d6f7a3b1c11',
    state: 'committed',
    service: 'stow',
    serverID: '6b3ee2f2-5b6c-4a7a-9a2f-0d6f7a3b1c22',
    sender: '10.0.0.7',
    senderProduct: 'gateway/2.1',
    sentBy: null,
    handling: 'strict',
    studyInstanceUID: null,
    declaredInstanceCount: null,
    announcedBytes: null,
    receivedBytes: 48_000_000,
    partCount: 12,
    storedCount: 12,
    duplicateCount: 0,
    refusedCount: 0,
    warningCount: 0,
    startedAt: new Date('2026-03-01T12:00:00Z'),
    endedAt: new Date('2026-03-01T12:00:42Z'),
    leaseUntil: new Date('2026-03-01T12:01:00Z'),
    reason: null,
    ...changes,
  }
}
