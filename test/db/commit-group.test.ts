import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { rehearseCommit } from '../../db/groups.ts'
import { releaseAbandonedSegments, releaseSegment } from '../../db/shared-segments.ts'
import { deleted } from '../deletion/support.ts'
import { uniqueUID } from '../support/dicom-file.ts'
import { testGroups, without, wrongCounts } from './group.ts'

describe('a group of small transfers', () => {
  test('becomes visible with a row for each of them, and one for the shared segment', async () => {
    await using t = await testGroups()
    const study = uniqueUID()
    const group = t.make([[{ study }], [{ study }, { study }]])
    expect(await t.commitMade(group)).toEqual({
      outcome: 'committed',
      disagreements: [],
    })
    await t.commit([[{ study }]])
    const rows = await t.db.sql`
      select state, stored_count, received_bytes, ended_at > started_at as is_over, server_id
      from transfers order by stored_count desc limit 2`
    const row = { state: 'committed', received_bytes: 1000, is_over: true, server_id: t.serverID }
    expect([...rows]).toEqual([
      { ...row, stored_count: 2 },
      { ...row, stored_count: 1 },
    ])
    const segments = await t.db.sql`
      select transfer_id, appended_by, state, byte_length from segments`
    expect([...segments]).toEqual([
      { transfer_id: null, appended_by: t.serverID, state: 'kept', byte_length: 600 },
    ])
    const [found] = await t.db.sql`select instance_count, series_count from studies`
    expect(found).toEqual({ instance_count: 4, series_count: 4 })
    expect(await t.db.sql`select from staged_instances`).toHaveLength(0)
    expect(await wrongCounts(t.db)).toEqual([])
  })

  test('is rehearsed by one of which nothing stays', async () => {
    await using t = await testGroups()
    const everything = () => t.db.sql`
      select
        (select count(*) from transfers) as transfers, (select count(*) from instances) as instances,
        (select count(*) from studies) as studies, (select count(*) from patients) as patients,
        (select count(*) from segments) as segments, (select count(*) from staged_instances) as staged,
        (select count(*) from changes_to_come) as changes`
    await t.commit([[{}]])
    const before = [...(await everything())]
    await rehearseCommit(t.db, t.serverID)
    expect([...(await everything())]).toEqual(before)
    expect((await t.commit([[{}]])).outcome).toBe('committed')
  })

  test('may bring nothing but duplicates', async () => {
    await using t = await testGroups()
    const result = await t.commit([[]], (group) => {
      Object.assign(group.members[0] as object, { duplicateCount: 1 })
    })
    expect(result.outcome).toBe('committed')
    const rows = await t.db.sql`select state, stored_count, duplicate_count from transfers`
    expect([...rows]).toEqual([{ state: 'committed', stored_count: 0, duplicate_count: 1 }])
    expect(await t.db.sql`select from segments where byte_length > 0`).toHaveLength(0)
  })

  test('records what was refused, and what was stored with a warning', async () => {
    await using t = await testGroups()
    const group = t.make([[{}], [{}]])
    const [first, second] = group.members
    first?.refused.push({ position: 3, failureReason: 0xc000, detail: 'No' })
    second?.warned.push({
      position: 0,
      warningReason: 0xb007,
      detail: 'Hm',
      studyInstanceUID: '1',
      sopInstanceUID: '2',
    })
    await t.commitMade(group)
    const refused = await t.db.sql`select transfer_id, position, detail from refusals`
    expect([...refused]).toEqual([{ transfer_id: first?.transferID, position: 3, detail: 'No' }])
    const warned = await t.db.sql`select transfer_id, position, detail from warnings`
    expect([...warned]).toEqual([{ transfer_id: second?.transferID, position: 0, detail: 'Hm' }])
    const counts = await t.db.sql`select refused_count, warning_count from transfers order by 1`
    expect([...counts]).toEqual([
      { refused_count: 0, warning_count: 1 },
      { refused_count: 1, warning_count: 0 },
    ])
  })
})

describe('instances of a group that are not to be stored', () => {
  test('are named, and nothing is done, whether stored before or twice in the group (AT-05, AT-07)', async () => {
    await using t = await testGroups()
    const [study, series] = [uniqueUID(), uniqueUID()]
    const [a, b] = [uniqueUID(), uniqueUID()]
    const here = { study, series }
    await t.commit([[{ ...here, instance: a, content: 'a' }]])
    const group = t.make([
      [{ ...here, instance: a, content: 'a' }],
      [{ ...here, instance: a, content: 'other' }],
      [
        { ...here, instance: b, content: 'b' },
        { ...here, instance: b, content: 'b' },
      ],
      [{ ...here, instance: b, content: 'other' }],
      [{ study, instance: b, content: 'other' }],
      [{ ...here, instance: b, content: 'other', sopClassUID: '1.2.3' }],
      [{ study: uniqueUID(), series }],
    ])
    const result = await t.commitMade(group)
    if (result.outcome !== 'superfluous') throw new Error(result.outcome)
    expect(result.duplicates).toEqual([0, 3])
    expect(result.refused.map((one) => [one.position, one.failureReason])).toEqual([
      [1, 0x0111],
      [4, 0x0111],
      [5, 0xa902],
      [6, 0x0119],
      [7, 0xa903],
    ])
    expect(await t.db.sql`select from transfers`).toHaveLength(1)
    expect(await t.db.sql`select from staged_instances`).toHaveLength(0)
    expect((await t.commitMade(without(group, result))).outcome).toBe('committed')
    expect(await t.db.sql`select from instances`).toHaveLength(2)
    expect(await wrongCounts(t.db)).toEqual([])
  })

  test('since they were deleted are told why, and the log of Postgres is not (P10)', async () => {
    await using t = await testGroups()
    const here = { study: uniqueUID(), series: uniqueUID(), instance: uniqueUID() }
    await t.commit([[here]])
    const path = { studyInstanceUID: here.study }
    await deleted(t.db, path, { reason: 'Is of Canary^Jane' })
    const group = t.make([[here]])
    expect(await t.commitMade(group)).toMatchObject({
      outcome: 'superfluous',
      refused: [{ detail: expect.stringMatching(/^It was deleted on .*Z: Is of Canary\^Jane$/) }],
    })
    const batch = JSON.stringify(group.instances)
    await t.db.sql`select stage_rows(${group.groupID}, ${batch}::text::jsonb)`
    for (const strict of [true, false]) {
      const raised = t.db.sql`select raise_superfluous(${group.groupID}, ${strict})`
      const error = await raised.then(
        () => expect.unreachable(),
        (thrown) => thrown,
      )
      expect(error.code).toBe(strict ? 'ST003' : 'ST004')
      // Detail, hint, context: what is told to the client is what a log of Postgres has.
      expect(JSON.stringify(error)).not.toContain('Canary')
    }
  })

  test('do not count against others that are well: a new series in two studies goes to the first that is stored', async () => {
    await using t = await testGroups()
    const instance = uniqueUID()
    await t.commit([[{ instance }]])
    const [series, other] = [uniqueUID(), uniqueUID()]
    const group = t.make([[{ instance, series }], [{ series, study: other }], [{ series }]])
    const result = await t.commitMade(group)
    expect(result).toMatchObject({
      outcome: 'superfluous',
      duplicates: [],
      refused: [
        { position: 0, failureReason: 0xa902 },
        { position: 2, failureReason: 0xa903 },
      ],
    })
  })
})

describe('contradictions in a group (DV-18)', () => {
  test('are told by ordinal, and recorded with the transfer and the part they are of', async () => {
    await using t = await testGroups()
    const [study, series] = [uniqueUID(), uniqueUID()]
    const here = { study, series }
    const group = t.make([
      [{ ...here, studySays: { StudyDescription: 'Head' } }],
      [here, { ...here, studySays: { StudyDescription: 'Knee' } }],
      [{ ...here, seriesSays: { Modality: 'CT' } }],
    ])
    const detail = 'Differs from what its study or series says: '
    expect(await t.commitMade(group)).toEqual({
      outcome: 'committed',
      disagreements: [
        { position: 2, warningReason: 0xb007, detail: `${detail}StudyDescription` },
        { position: 3, warningReason: 0xb007, detail: `${detail}Modality` },
      ],
    })
    const rows = await t.db.sql`
      select w.transfer_id, w.position, w.sop_instance_uid, t.warning_count
      from warnings w join transfers t using (transfer_id) order by warning_key`
    expect([...rows]).toEqual(
      [2, 3].map((ordinal) => ({
        transfer_id: group.members[group.instances[ordinal]?.member ?? 0]?.transferID,
        position: group.instances[ordinal]?.part,
        sop_instance_uid: group.instances[ordinal]?.sop_instance_uid,
        warning_count: 1,
      })),
    )
  })

  test('are found where study and series were there already; what they did not say is added', async () => {
    await using t = await testGroups()
    const here = { study: uniqueUID(), series: uniqueUID() }
    await t.commit([[here]])
    const result = await t.commit([
      [{ ...here, studySays: { StudyDate: '20260101' } }],
      [{ ...here, studySays: { StudyDate: '20260102', PatientID: 'Q' } }],
      [here],
    ])
    expect(result).toMatchObject({
      disagreements: [{ position: 1, detail: expect.stringContaining('PatientID, StudyDate') }],
    })
    const again = await t.commit([[{ ...here, seriesSays: { Modality: 'CT' } }]])
    expect(again).toMatchObject({ disagreements: [{ position: 0 }] })
    const rows = await t.db.sql`select study_date, patient_id, instance_count from studies`
    expect([...rows]).toEqual([{ study_date: '20260101', patient_id: 'P', instance_count: 5 }])
    expect(await wrongCounts(t.db)).toEqual([])
  })
})

describe('the shared segment', () => {
  test('that was released is not appended to any more', async () => {
    await using t = await testGroups()
    await t.commit([[{}]])
    await releaseSegment(t.db, t.segmentID, t.serverID)
    expect(await t.commit([[{}]])).toMatchObject({ outcome: 'lost' })
    expect(await t.db.sql`select from instances`).toHaveLength(1)
    expect(await t.db.sql`select from transfers`).toHaveLength(1)
  })

  test('is taken from a server that is gone, with the length that was committed', async () => {
    await using t = await testGroups()
    await t.commit([[{}]])
    const sweeper = randomUUID()
    expect(await releaseAbandonedSegments(t.db, sweeper, false)).toBe(0)
    expect(await releaseAbandonedSegments(t.db, t.serverID, true)).toBe(0)
    expect(await releaseAbandonedSegments(t.db, sweeper, true)).toBe(1)
    expect(await t.commit([[{}]])).toMatchObject({ outcome: 'lost' })
    const rows = await t.db.sql`select state, byte_length from segments`
    expect([...rows]).toEqual([{ state: 'kept', byte_length: 150 }])
  })

  test('is taken when it is older than any that is appended to', async () => {
    await using t = await testGroups()
    await t.commit([[{}]])
    await t.db.sql`update segments set created_at = now() - interval '11 minutes'`
    expect(await releaseAbandonedSegments(t.db, randomUUID(), false)).toBe(1)
  })

  test('keeps the greater length when a group overtakes another', async () => {
    await using t = await testGroups()
    const [first, second] = [t.make([[{}]]), t.make([[{}]])]
    await t.commitMade(second)
    await t.commitMade(first)
    const [row] = await t.db.sql`select byte_length from segments`
    expect(row).toEqual({ byte_length: 300 })
  })
})
