import { createHash, randomUUID } from 'node:crypto'
import { type Database, openDatabase } from '../../db/database.ts'
import {
  commitGroup,
  type GroupCommit,
  type GroupedInstance,
  type GroupMember,
  type GroupResult,
} from '../../db/groups.ts'
import { ownConnectionsOf } from '../../db/own-connections.ts'
import { announceSharedSegment } from '../../db/shared-segments.ts'
import { freshDatabase } from '../support/database.ts'
import { uniqueUID } from '../support/dicom-file.ts'

/** What a test says of an instance; the rest is made up. */
export interface Said {
  study?: string
  series?: string
  instance?: string
  sopClassUID?: string
  content?: string
  studySays?: Record<string, string>
  seriesSays?: Record<string, string>
}

export interface TestGroups extends AsyncDisposable {
  db: Database
  url: string
  serverID: string
  segmentID: string
  /** Commits a group with one list of instances for each member. */
  commit(members: Said[][], change?: (group: GroupCommit) => void): Promise<GroupResult>
  make(members: Said[][]): GroupCommit
  /** @param synced When its bytes are durable; default at once. */
  commitMade(group: GroupCommit, synced?: Promise<void>): Promise<GroupResult>
}

export async function testGroups(): Promise<TestGroups> {
  const database = await freshDatabase(8)
  const db = openDatabase(database.sql)
  const serverID = randomUUID()
  const segmentID = randomUUID()
  await announceSharedSegment(db, segmentID, serverID)
  let byteLength = 0
  function make(members: Said[][]): GroupCommit {
    const instances = members.flatMap((parts, member) =>
      parts.map((said, part) => ({ ...instanceRow(said, segmentID), member, part })),
    )
    instances.forEach((row, position) => {
      Object.assign(row, { position, segment_offset: byteLength })
      byteLength += 150
    })
    return {
      groupID: randomUUID(),
      serverID,
      segment: instances.length === 0 ? undefined : { segmentID, byteLength },
      members: members.map((parts) => groupMember(parts.length)),
      instances,
    }
  }
  const connections = ownConnectionsOf(database.sql)
  async function commitMade(group: GroupCommit, synced = Promise.resolve()): Promise<GroupResult> {
    const one = await connections.take()
    try {
      return await commitGroup(openDatabase(one), group, () => synced)
    } finally {
      connections.giveBack(one)
    }
  }
  return {
    db,
    url: database.url,
    serverID,
    segmentID,
    make,
    commitMade,
    commit(members, change) {
      const group = make(members)
      change?.(group)
      return commitMade(group)
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  }
}

export function groupMember(storedCount: number): GroupMember {
  return {
    transferID: randomUUID(),
    service: 'stow',
    handling: 'strict',
    ageMs: 5,
    storedCount,
    receivedBytes: 1000,
    partCount: storedCount,
    duplicateCount: 0,
    refused: [],
    warned: [],
  }
}

/** Takes out what a superfluous result names, as a server would, and counts it. */
export function without(
  group: GroupCommit,
  result: Extract<GroupResult, { outcome: 'superfluous' }>,
): GroupCommit {
  const dropped = [...result.duplicates, ...result.refused.map((one) => one.position)]
  return {
    ...group,
    instances: group.instances.filter((one) => !dropped.includes(one.position)),
  }
}

export function instanceRow(
  said: Said,
  segmentID: string,
): Omit<GroupedInstance, 'member' | 'part'> {
  return {
    position: 0,
    study_instance_uid: said.study ?? uniqueUID(),
    series_instance_uid: said.series ?? uniqueUID(),
    sop_instance_uid: said.instance ?? uniqueUID(),
    sop_class_uid: said.sopClassUID ?? '1.2.840.10008.5.1.4.1.1.4',
    transfer_syntax_uid: '1.2.840.10008.1.2.1',
    segment_id: segmentID,
    segment_offset: 0,
    byte_length: 100,
    metadata_length: 50,
    digest: createHash('sha256')
      .update(said.content ?? uniqueUID())
      .digest('hex'),
    study: { PatientID: 'P', StudyDescription: 'Head', ...said.studySays },
    series: { Modality: 'MR', ...said.seriesSays },
    instance: { InstanceNumber: '1', Rows: 2, Columns: 2 },
  }
}

/** What counts say, beside what they should say; empty when all are right. */
export async function wrongCounts({ sql }: Database): Promise<unknown[]> {
  const rows = await sql`
    select 'series' as level, e.series_key as key
    from series e
    where (e.instance_count, e.byte_length) not in (
      select count(*), coalesce(sum(i.byte_length), 0)
      from instances i
      where i.series_key = e.series_key
    )
    union all
    select 'study', t.study_key
    from studies t
    where (t.series_count, t.instance_count, t.byte_length, t.modalities_in_study) not in (
      select
        count(*), coalesce(sum(e.instance_count), 0), coalesce(sum(e.byte_length), 0),
        coalesce(array_agg(distinct e.modality), '{}')
      from series e
      where e.study_key = t.study_key
    )
    union all
    select 'patient', p.patient_key
    from patients p
    where (p.study_count, p.series_count, p.instance_count, p.byte_length) not in (
      select
        count(*), coalesce(sum(t.series_count), 0), coalesce(sum(t.instance_count), 0),
        coalesce(sum(t.byte_length), 0)
      from studies t
      where t.patient_key = p.patient_key
    )`
  return [...rows]
}
