import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Database } from '../../db/database.ts'
import { checked, type FilledArchive, filledArchive } from './support.ts'

describe('damaged rows', () => {
  test.each<
    [what: string, damage: (archive: FilledArchive) => Promise<unknown>, problems: string[]]
  >([
    [
      'instances that overlap',
      ({ db, first }) => db.sql`
        update instances set segment_offset = segment_offset - 1
        where sop_instance_uid = ${first.instances[1]?.sopInstanceUID as string}`,
      ['digest-differs', 'instances-overlap'],
    ],
    [
      'instances that overlap, in the middle of a segment',
      ({ db, first }) => db.sql`
        update instances set segment_offset = segment_offset - 1
        where sop_instance_uid = ${first.instances[4]?.sopInstanceUID as string}`,
      ['digest-differs', 'instances-overlap'],
    ],
    [
      'two instances in one place',
      ({ db, first }) => db.sql`
        update instances i set
          segment_offset = o.segment_offset, byte_length = o.byte_length,
          metadata_length = o.metadata_length, digest = o.digest
        from instances o
        where i.sop_instance_uid = ${first.instances[1]?.sopInstanceUID as string}
        and o.sop_instance_uid = ${first.instances[0]?.sopInstanceUID as string}`,
      ['instances-overlap', 'metadata-names-other'],
    ],
    [
      'a digest that was changed',
      ({ db, first }) => db.sql`
        update instances set digest = sha256('x')
        where sop_instance_uid = ${first.instances[1]?.sopInstanceUID as string}`,
      ['digest-differs'],
    ],
    [
      'an offset that cannot be',
      ({ db, first }) => db.sql`
        update instances set segment_offset = -1
        where sop_instance_uid = ${first.instances[0]?.sopInstanceUID as string}`,
      ['row-invalid'],
    ],
    [
      'an instance that was deleted by hand',
      ({ db, third }) => db.sql`
        delete from instances
        where sop_instance_uid = ${third.instances[0]?.sopInstanceUID as string}`,
      ['patient-counts', 'series-counts', 'study-counts'],
    ],
    [
      'all instances of a series deleted by hand',
      ({ db, third }) => db.sql`
        delete from instances i using series e
        where e.series_key = i.series_key
        and e.series_instance_uid = ${third.instances[0]?.seriesInstanceUID as string}`,
      [
        'patient-counts',
        'segment-without-instances',
        'series-counts',
        'series-without-instances',
        'study-counts',
      ],
    ],
    [
      'a count of a series',
      ({ db, first }) => db.sql`
        update series set instance_count = instance_count + 1
        where series_instance_uid = ${first.instances[0]?.seriesInstanceUID as string}`,
      ['series-counts'],
    ],
    [
      'the bytes of a series',
      ({ db, first }) => db.sql`
        update series set byte_length = byte_length + 1
        where series_instance_uid = ${first.instances[0]?.seriesInstanceUID as string}`,
      ['series-counts'],
    ],
    [
      'a count of a study',
      ({ db, first }) => db.sql`
        update studies set series_count = 7 where study_instance_uid = ${first.studyInstanceUID}`,
      ['study-counts'],
    ],
    [
      'the modalities of a study',
      ({ db, first }) => db.sql`
        update studies set modalities_in_study = '{CT}'
        where study_instance_uid = ${first.studyInstanceUID}`,
      ['study-modalities'],
    ],
    [
      'a count of a patient',
      ({ db }) => db.sql`update patients set study_count = 1 where patient_id = 'P1'`,
      ['patient-counts'],
    ],
    [
      'the bytes of a patient',
      ({ db }) => db.sql`update patients set byte_length = 0 where patient_id = 'P2'`,
      ['patient-counts'],
    ],
    [
      'a study filed under another patient',
      ({ db, third }) => db.sql`
        update studies
        set patient_key = (select patient_key from patients where patient_id = 'P1')
        where study_instance_uid = ${third.studyInstanceUID}`,
      ['patient-counts', 'patient-counts', 'patient-without-studies', 'study-of-other-patient'],
    ],
    [
      'an instance whose study is not that of its series',
      ({ db, second, third }) => db.sql`
        update instances
        set study_key = (
          select study_key from studies where study_instance_uid = ${third.studyInstanceUID}
        )
        where sop_instance_uid = ${second.instances[0]?.sopInstanceUID as string}`,
      ['series-in-other-study'],
    ],
    [
      'an instance whose segment has no row',
      ({ db, second }) => db.sql`
        update instances
        set segment_key = -1
        where sop_instance_uid = ${second.instances[0]?.sopInstanceUID as string}`,
      ['row-invalid'],
    ],
    [
      'an instance whose series has no row',
      ({ db, second }) => db.sql`
        update instances
        set series_key = -1
        where sop_instance_uid = ${second.instances[0]?.sopInstanceUID as string}`,
      ['patient-counts', 'row-invalid', 'series-counts', 'study-counts'],
    ],
    [
      'a study that is empty',
      ({ db }) => db.sql`
        insert into studies (study_instance_uid, first_received_at, last_received_at)
        values ('1.2.3', now(), now())`,
      ['study-without-series'],
    ],
    [
      'a series that is empty',
      ({ db, first }) => db.sql`
        insert into series (series_instance_uid, study_key, first_received_at, last_received_at)
        select '1.2.3', study_key, now(), now()
        from studies
        where study_instance_uid = ${first.studyInstanceUID}`,
      ['patient-counts', 'series-without-instances', 'study-counts'],
    ],
    [
      'a patient who has nothing',
      ({ db }) => db.sql`
        insert into patients (patient_id, issuer_of_patient_id, first_received_at, last_received_at)
        values ('P3', '', now(), now())`,
      ['patient-without-studies'],
    ],
    [
      'staged rows of no transfer',
      ({ db }) => stageRow(db, randomUUID()),
      ['staged-without-transfer'],
    ],
    [
      'staged rows of a transfer that is over',
      async ({ db }) => {
        const [row] = await db.sql`select transfer_id from transfers limit 1`
        await stageRow(db, row?.transfer_id as string)
      },
      ['staged-without-transfer'],
    ],
    [
      'an open segment of a transfer that is over',
      ({ db }) => db.sql`
        insert into segments (segment_id, transfer_id, state)
        select gen_random_uuid(), transfer_id, 'open' from transfers limit 1`,
      ['segment-without-transfer'],
    ],
    [
      'a kept segment in which nothing lies',
      ({ db }) => db.sql`
        insert into segments (segment_id, transfer_id, state)
        values (gen_random_uuid(), gen_random_uuid(), 'kept')`,
      ['segment-without-instances'],
    ],
    [
      'a doomed segment in which instances lie',
      ({ db }) => db.sql`
        update segments set state = 'doomed'
        where segment_key = (select min(segment_key) from segments)`,
      ['segment-not-kept'],
    ],
    [
      'an instance that was deleted, and that nobody allowed to come again',
      ({ db, first }) => db.sql`
        insert into tombstones (
          sop_instance_uid, study_instance_uid, series_instance_uid, sop_class_uid, digest, deletion_key
        ) values (${first.instances[0]?.sopInstanceUID as string}, '1', '2', '3', '', 1)`,
      ['instance-deleted'],
    ],
    [
      'a segment whose length was changed',
      ({ db }) => db.sql`
        update segments set byte_length = byte_length + 1
        where segment_key = (select min(segment_key) from segments)`,
      ['segment-length'],
    ],
    [
      'a segment whose row names another object',
      ({ db }) => db.sql`
        update segments set segment_id = gen_random_uuid()
        where segment_key = (select min(segment_key) from segments)`,
      ['segment-missing'],
    ],
  ])('%s are found', async (_what, damage, problems) => {
    await using archive = await filledArchive()
    await damage(archive)
    expect((await checked(archive)).problems).toEqual(problems)
  })

  async function stageRow(db: Database, transferID: string): Promise<void> {
    await db.sql`
      insert into staged_instances (
        transfer_id, position, study_instance_uid, series_instance_uid, sop_instance_uid,
        sop_class_uid, transfer_syntax_uid, segment_id, segment_offset, byte_length,
        metadata_length, digest, instance
      ) values (
        ${transferID}, 0, '1.2', '1.2.3', '1.2.3.4', '1.2', '1.2', gen_random_uuid(), 0, 1, 1, '', '{}'
      )`
  }
})
