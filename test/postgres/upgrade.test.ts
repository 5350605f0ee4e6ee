import { expect, test } from 'vitest'
import { integerOf } from '../../db/integer-of.ts'
import { migrateDatabase, readJournal } from '../../server/postgres/migrate.ts'
import { MIGRATIONS_FOLDER } from '../../server/postgres/open.ts'
import { freshDatabase } from '../support/database.ts'

test('a database as an older Stowage left it, with studies in it, goes through all migrations since and keeps them', async () => {
  await using database = await freshDatabase()
  const { direct } = database
  await direct`drop schema public cascade`
  await direct`drop schema drizzle cascade`
  await direct`create schema public`
  const { entries } = await readJournal(MIGRATIONS_FOLDER)
  const old = entries.slice(0, 6)
  expect(old.at(-1)?.tag).toBe('0005_add_webhooks')
  await migrateDatabase(direct, { folder: MIGRATIONS_FOLDER, only: old.map(({ when }) => when) })

  await direct`
    insert into patients (patient_id, issuer_of_patient_id, study_count, series_count, instance_count, byte_length, first_received_at, last_received_at)
    select 'P' || n, '', 1, 1, 2, 200, now(), now() from generate_series(1, 100) n`
  await direct`
    insert into studies (study_instance_uid, patient_key, patient_id, patient_name, series_count, instance_count, byte_length, first_received_at, last_received_at)
    select '2.25.1.' || n, n, 'P' || n, 'Doe^' || n, 1, 2, 200, now(), now() from generate_series(1, 100) n`
  await direct`
    insert into series (series_instance_uid, study_key, modality, series_number, instance_count, byte_length, first_received_at, last_received_at)
    select '2.25.2.' || n, n, 'CT', (array['0003', '3.5', 'A3', '٣', ${'9'.repeat(256)}])[1 + n % 5], 2, 200, now(), now() from generate_series(1, 100) n`
  await direct`
    insert into segments (segment_id, transfer_id, state, byte_length)
    select gen_random_uuid(), gen_random_uuid(), 'kept', 220 from generate_series(1, 100) n`
  await direct`
    insert into instances (sop_instance_uid, study_key, series_key, segment_key, segment_offset, byte_length, metadata_length, digest, sop_class_uid, transfer_syntax_uid, instance_number, received_at)
    select '2.25.3.' || n, 1 + (n - 1) / 2, 1 + (n - 1) / 2, 1 + (n - 1) / 2, 110 * ((n - 1) % 2), 100, 10, sha256(n::text::bytea), '1.2', '1.2.840.10008.1.2.1', (array['+3', '', 'A3', '٣', ${'9'.repeat(256)}])[1 + n % 5], now()
    from generate_series(1, 200) n`

  const { applied } = await migrateDatabase(direct, { folder: MIGRATIONS_FOLDER })
  expect(applied).toEqual(entries.slice(6).map(({ tag }) => tag))
  const [row] = await direct`
    select
      (select count(*)::int from studies where instance_count = 2 and verdict = 'unknown') as studies,
      (select count(*)::int from series where byte_length = 200) as series,
      (select count(*)::int from instances i join segments g using (segment_key) where i.damaged_at is null) as instances`
  expect(row).toEqual({ studies: 100, series: 100, instances: 200 })
  // The functions of today work on what was stored then.
  const [deleted] =
    await direct`select count(*)::int as count from studies where patient_name_key = 'doe^7'`
  expect(deleted?.count).toBe(1)
  // Numbers that are none were stored, too.
  const [numbers] = await direct`
    select
      (select count(*)::int from series where ${direct.unsafe(integerOf('series_number'))} = 3) as series,
      (select count(*)::int from instances where ${direct.unsafe(integerOf('instance_number'))} = 3) as instances`
  expect(numbers).toEqual({ series: 20, instances: 40 })
})
