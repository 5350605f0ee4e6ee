import { describe, expect, test } from 'vitest'
import { pruneTransfers } from '../../db/deletions.ts'
import { checked } from '../check/support.ts'
import { nothingHeld, testIntake } from '../support/intake.ts'
import { filesOfStudy, madeStudy } from './support.ts'

describe('records of transfers', () => {
  test('are kept for so many days after their end, with refusals and warnings; what they stored stays', async () => {
    await using t = await testIntake(nothingHeld)
    const study = madeStudy()
    await t.send(filesOfStudy(study))
    await t.send([Buffer.from('not DICOM at all')])
    await t.db.sql`
      insert into warnings (transfer_id, position, warning_reason, detail, study_instance_uid, sop_instance_uid)
      select transfer_id, 0, 1, 'x', '1', '2' from transfers`
    expect(await pruneTransfers(t.db, 90)).toBe(0)
    await t.db.sql`
      update transfers set started_at = now() - interval '92 days', ended_at = now() - interval '91 days'`
    await t.send(filesOfStudy(madeStudy()))
    await t.db.sql`
      insert into transfers (transfer_id, state, service, server_id, handling, started_at, lease_until)
      values (
        gen_random_uuid(), 'receiving', 'stow', gen_random_uuid(), 'strict', now() - interval '99 days', now()
      )`
    expect(await pruneTransfers(t.db, 92)).toBe(0)
    expect(await pruneTransfers(t.db, 90)).toBe(2)
    const rows = await t.db.sql`select state from transfers order by state`
    expect(rows.map(({ state }) => state)).toEqual(['committed', 'receiving'])
    expect(await t.db.sql`select from refusals`).toHaveLength(0)
    expect(await t.db.sql`select from warnings`).toHaveLength(0)
    expect((await t.counts()).instances).toBe(6)
    expect((await checked(t)).findings).toEqual([])
  })

  test('are pruned in small batches, by one server at a time', async () => {
    await using t = await testIntake()
    await t.db.sql`
      insert into transfers (
        transfer_id, state, service, server_id, handling, started_at, ended_at, lease_until
      )
      select
        gen_random_uuid(), 'committed', 'stow', gen_random_uuid(), 'strict', now() - interval '99 days',
        now() - interval '99 days', now()
      from generate_series(1, 1200)`
    const connection = await t.db.sql.reserve()
    await connection`begin`
    await connection`select prune_transfers(now(), 10)`
    expect(await pruneTransfers(t.db, 90)).toBe(0)
    await connection`rollback`
    connection.release()
    expect(await pruneTransfers(t.db, 90)).toBe(500)
    expect(await pruneTransfers(t.db, 90)).toBe(500)
    expect(await pruneTransfers(t.db, 90)).toBe(200)
    expect(await pruneTransfers(t.db, 90)).toBe(0)
  })
})
