import type postgres from 'postgres'
import { describe, expect, test } from 'vitest'
import type { GroupCommit, GroupResult } from '../../db/groups.ts'
import { plainCommit, plainGroupOf } from '../../db/plain-group.ts'
import { type CommitError, wasInTheWay } from '../../db/retry-commit.ts'
import { replaceQuietRules } from '../../db/stability.ts'
import { uniqueUID } from '../support/dicom-file.ts'
import { type Said, type TestGroups, testGroups, wrongCounts } from './group.ts'

/** From here on a group that needs more than `commit_plain_group` fails. */
async function forbidStaging({ db }: TestGroups): Promise<void> {
  await db.sql.unsafe(`
    create or replace function stage_rows(the_transfer uuid, batch jsonb) returns void language plpgsql as
    $$ begin raise exception 'It was staged'; end $$`)
}

/** From here on every group is staged: it is told that it has to be. */
async function forbidPlainness({ db }: TestGroups): Promise<void> {
  const [known] = await db.sql`
    select pg_get_functiondef('commit_plain_group'::regproc) as definition`
  const [head] = (known as { definition: string }).definition.split('AS $function$')
  await db.sql.unsafe(`${head} AS $function$ begin return false; end $function$`)
}

/** All that a commit says, without what differs by the clock or by chance. */
async function everythingIn({ db }: TestGroups): Promise<unknown> {
  const tables = {
    patients: 'patient_id',
    studies: 'study_instance_uid',
    series: 'series_instance_uid',
    instances: 'sop_instance_uid',
    changes_to_come: 'change_key',
    transfers: 'started_at',
    staged_instances: 'position',
  }
  const rows: [string, postgres.Row[]][] = await Promise.all(
    Object.entries(tables).map(async ([table, order]) => [
      table,
      [...(await db.sql.unsafe(`select * from ${table} order by ${order}`))],
    ]),
  )
  const of = Object.fromEntries(rows)
  const places = {
    patient_key: placesOf(of.patients, 'patient_key'),
    study_key: placesOf(of.studies, 'study_key'),
    series_key: placesOf(of.series, 'series_key'),
  }
  return Object.fromEntries(
    rows.map(([table, all]) => [table, all.map((row) => withoutChance(row, places))]),
  )
}

/** Keys have gaps, where something was to be inserted that was there. */
function placesOf(rows: postgres.Row[] | undefined, key: string): Map<unknown, number> {
  const keys = (rows ?? []).map((row) => row[key] as number).sort((a, b) => a - b)
  return new Map(keys.map((one, place) => [one, place]))
}

function withSenders({ members }: GroupCommit): void {
  for (const [index, member] of members.entries()) member.sender = `10.0.0.${index}`
}

const own = new Set(['segment_key', 'transfer_id', 'server_id', 'change_key'])

function withoutChance(row: postgres.Row, places: Record<string, Map<unknown, number>>): unknown {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      if (own.has(name) || /^at$|_(at|until)$/.test(name)) return [name, value === null]
      return [name, places[name]?.get(value) ?? value]
    }),
  )
}

async function waiting(t: TestGroups, count: number): Promise<void> {
  const lock = () => t.db.sql`
    select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
  await expect.poll(async () => (await lock()).length, { interval: 5 }).toBe(count)
}

describe('a group that brings instances of what is being received, and new studies', () => {
  test('is stored without being staged', async () => {
    await using t = await testGroups()
    const here = { study: uniqueUID(), series: uniqueUID() }
    const there = { study: uniqueUID(), series: uniqueUID(), studySays: { PatientID: 'Q' } }
    await t.commit([[here], [there]])
    await forbidStaging(t)
    const anew = { study: uniqueUID(), series: uniqueUID() }
    const said = [[here, { ...here, studySays: {} }], [there], [here, anew]]
    expect(await t.commit(said)).toEqual({ outcome: 'committed', disagreements: [] })
    expect(await t.db.sql`select from instances`).toHaveLength(7)
    expect(await wrongCounts(t.db)).toEqual([])
  })

  test.each([
    ['', ''],
    [
      ', with several quiet rules',
      `update quiet_rules set position = 9;
      insert into quiet_rules (position, sender, quiet_seconds) values (1, '10.0.0.1', 77), (2, '10.0.0.0', 5);
      insert into quiet_rules (position, modality, quiet_seconds) values (3, 'US', 99)`,
    ],
  ])('leaves the same as one that is staged%s', async (_, rules) => {
    // Not in the order in which they come first, which is that of their keys.
    const [other, study, nobody] = [uniqueUID(), uniqueUID(), uniqueUID()]
    const series = [uniqueUID(), uniqueUID(), uniqueUID()].reverse() as [string, string, string]
    let instances = 0
    const made = (said: Said): Said => ({
      ...said,
      instance: `1.2.3.${++instances}`,
      content: String(instances),
    })
    // Of a patient who is new, of one who is here, of nobody; their series and patients not in the order of their keys.
    const more = Array.from({ length: 4 }, () => uniqueUID())
    const [third, fourth, fifth, sixth] = more.reverse() as [string, string, string, string]
    const patient = { PatientID: 'Q', IssuerOfPatientID: 'here', StudyDescription: 'Knee' }
    const items = [{ RequestedProcedureID: 'R' }] as unknown as string
    const unsaid = undefined as unknown as string
    const groups = [
      [[{ study, series: series[0] }], [{ study: other, series: series[1] }]],
      [[{ study, series: series[0] }], [{ study: other, series: series[1] }]],
      [
        [
          { study, series: series[0] },
          { study: other, series: series[1] },
        ],
      ],
      [[{ study, series: series[2], seriesSays: { SeriesNumber: '3' } }]],
      [[{ study, series: series[2] }], [{ study, series: series[0] }]],
      [[{ study, series: series[0], studySays: { StudyDate: '20260101' } }]],
      [[{ study, series: series[0], studySays: { StudyDate: '20260102' } }]],
      [[{ study: nobody, series: `${nobody}.1`, studySays: { PatientID: '' } }]],
      [[{ study: nobody, series: `${nobody}.1`, studySays: { PatientID: '' } }]],
      [
        [
          {
            study: third,
            series: `${third}.2`,
            studySays: patient,
            seriesSays: { Modality: 'US' },
          },
          { study: third, series: `${third}.1`, studySays: patient },
        ],
        [
          {
            study: fourth,
            series: `${fourth}.1`,
            studySays: { ...patient, PatientName: 'Q', PatientSex: 'O', StudyDate: '20260101' },
            seriesSays: { RequestAttributesSequence: items, SeriesNumber: '4' },
          },
        ],
        [{ study, series: series[0] }],
        [{ study: third, series: `${third}.1`, studySays: patient }],
      ],
      [[{ study: fifth, series: `${fifth}.1`, studySays: { ...patient, PatientName: 'Q^2' } }]],
      [
        [
          {
            study: sixth,
            series: `${sixth}.1`,
            studySays: { PatientID: unsaid, IssuerOfPatientID: 'here' },
          },
        ],
      ],
    ].map((group) => group.map((member) => member.map(made)))
    await using plain = await testGroups()
    await using staged = await testGroups()
    await forbidPlainness(staged)
    for (const { db } of [plain, staged]) await db.sql.unsafe(rules)
    for (const group of groups) {
      expect(await plain.commit(group, withSenders)).toEqual(
        await staged.commit(group, withSenders),
      )
    }
    expect(await everythingIn(plain)).toEqual(await everythingIn(staged))
    expect(await wrongCounts(plain.db)).toEqual([])
  })

  test('brings a study that another one makes meanwhile: both are stored', async () => {
    await using t = await testGroups()
    for (let round = 1; round <= 10; round++) {
      const here = {
        study: uniqueUID(),
        series: uniqueUID(),
        studySays: { PatientID: `P${round}` },
      }
      const results = await Promise.all([
        t.commit([[here]]),
        t.commit([[here]]),
        t.commit([[here]]),
      ])
      expect(results.map(({ outcome }) => outcome)).toEqual(Array(3).fill('committed'))
    }
    expect(await t.db.sql`select from instances`).toHaveLength(30)
    expect(await wrongCounts(t.db)).toEqual([])
  })

  test('does not take a series that comes with two studies (DV-15)', async () => {
    await using t = await testGroups()
    const here = { study: uniqueUID(), series: uniqueUID() }
    const anew = { study: uniqueUID(), series: uniqueUID() }
    await t.commit([[here]])
    expect(await t.commit([[anew], [here], [{ ...here, series: anew.series }]])).toMatchObject({
      outcome: 'superfluous',
      refused: [{ position: 2, failureReason: 0xa903 }],
    })
  })

  test('lets a study wait as long as the longest of the rules of what came', async () => {
    await using t = await testGroups()
    const study = uniqueUID()
    const [first, second] = [`${study}.1`, `${study}.2`]
    await t.commit([[{ study, series: first }], [{ study, series: second }]])
    await t.db.sql`update quiet_rules set position = 9`
    await t.db.sql`
      insert into quiet_rules (position, sender, quiet_seconds) values (1, '10.0.0.0', 90), (2, '10.0.0.1', 70)`
    await forbidStaging(t)
    await t.commit([[{ study, series: first }], [{ study, series: second }]], withSenders)
    const rows = await t.db.sql`
      select quiet_seconds from studies
      union all select quiet_seconds from patients
      union all (select quiet_seconds from series order by series_instance_uid)`
    expect(rows.map((row) => row.quiet_seconds)).toEqual([90, 90, 90, 70])
  })

  test('is weighed where somebody said before how many its study should have (P5)', async () => {
    await using t = await testGroups()
    const here = { study: uniqueUID(), series: uniqueUID() }
    await t.db.sql`
      insert into evidence (study_instance_uid, source, origin, extent, instance_count)
      values (${here.study}, 'declared', 'x', 'all', 1)`
    expect(await t.commit([[here]])).toMatchObject({ outcome: 'committed' })
    const [study] = await t.db.sql`select verdict, expected_instance_count from studies`
    expect(study).toEqual({ verdict: 'complete', expected_instance_count: 1 })
  })

  test.each<[string, Said, string]>([
    ['its study says something new', { studySays: { StudyDate: '20260101' } }, ''],
    ['its series says something else', { seriesSays: { Modality: 'CT' } }, ''],
    ['its series is new to its study', { series: uniqueUID() }, ''],
    ['its series is of another study', { study: uniqueUID() }, ''],
    [
      'its study is new and its patient stable',
      { study: uniqueUID(), series: uniqueUID() },
      'update patients set due_at = null',
    ],
    ['its study is stable', {}, 'update studies set due_at = null'],
    ['its series is stable', {}, 'update series set due_at = null'],
    ['its patient is stable', {}, 'update patients set due_at = null'],
    [
      'somebody said how many there should be',
      {},
      "insert into evidence (study_instance_uid, source, origin, extent) select study_instance_uid, 'tags', 'x', 'all' from studies",
    ],
    [
      'its study is new and there are several quiet rules',
      { study: uniqueUID(), series: uniqueUID() },
      'update quiet_rules set position = 9; insert into quiet_rules (position, quiet_seconds) values (10, 5)',
    ],
  ])('is staged where %s', async (_, said, statement) => {
    await using t = await testGroups()
    const here = { study: uniqueUID(), series: uniqueUID() }
    await t.commit([[here]])
    await t.db.sql.unsafe(statement)
    await forbidStaging(t)
    await expect(t.commit([[{ ...here, ...said }]])).rejects.toThrow('It was staged')
  })
})

describe('while the bytes of such a group are being made durable', () => {
  test('the quiet time becomes another one: that is what it waits for (P4)', async () => {
    await using t = await testGroups()
    const group = t.make([[{ study: uniqueUID(), series: uniqueUID() }]])
    let sync = () => {}
    const synced = new Promise<void>((resolve) => {
      sync = resolve
    })
    const commit = t.commitMade(group, synced)
    const isThere = () => t.db.sql`
      select from pg_stat_activity
      where datname = current_database()
      and state = 'idle in transaction'
      and query like '%commit_plain_group%'`
    await expect.poll(async () => (await isThere()).length, { interval: 5 }).toBe(1)
    const replacing = replaceQuietRules(t.db, [{ quietSeconds: 5 }])
    // It waits for this one, or else has been done without it by then.
    await Promise.race([replacing, waiting(t, 1)])
    sync()
    expect(await commit).toMatchObject({ outcome: 'committed' })
    await replacing
    const [study] = await t.db.sql`select quiet_seconds from studies`
    expect(study).toEqual({ quiet_seconds: 5 })
  })
})

describe('while such a group waits for its locks', () => {
  /**
   * Commits an instance while somebody else changes what it belongs to, in a transaction that ends only when the
   * commit waits for it. Again, if that waited for so long that it gave up.
   */
  async function commitWhile(
    t: TestGroups,
    said: Said,
    change: (sql: postgres.TransactionSql) => Promise<unknown>,
  ): Promise<GroupResult> {
    for (;;) {
      let result: Promise<GroupResult> | undefined
      await t.db.sql.begin(async (sql) => {
        await sql`select from studies for update`
        result = t.commit([[said]])
        await waiting(t, 1)
        await change(sql)
      })
      const met = await result
      if (met !== undefined && met.outcome !== 'contended') return met
    }
  }

  /** An instance of a study that nobody else knows of. */
  async function storedElsewhere(t: TestGroups, { series, instance }: Said): Promise<void> {
    await t.db.sql`
      insert into instances (
        sop_instance_uid, study_key, series_key, segment_key, segment_offset, byte_length, metadata_length, digest,
        sop_class_uid, transfer_syntax_uid, received_at
      )
      values (${instance as string}, 99, 99, 1, 0, 1, 1, '', ${series as string}, '1.2', now())`
  }

  async function buried(
    sql: postgres.Sql<{ bigint: number }> | postgres.TransactionSql,
    { study, series, instance }: Said,
  ): Promise<void> {
    await sql`
      with deletion as (
        insert into deletions (level, study_instance_uid, is_forced, allows_resend, deleted_at)
        values ('instance', ${study as string}, false, false, now())
        returning deletion_key
      )
      insert into tombstones (
        sop_instance_uid, study_instance_uid, series_instance_uid, sop_class_uid, digest, deletion_key
      )
      select ${instance as string}, ${study as string}, ${series as string}, '1.2', '', deletion_key
      from deletion`
  }

  async function received(t: TestGroups): Promise<Said> {
    const here = { study: uniqueUID(), series: uniqueUID() }
    await t.commit([[here]])
    return here
  }

  test('its study becomes stable: it opens the next generation (P4)', async () => {
    await using t = await testGroups()
    const here = await received(t)
    const result = await commitWhile(t, here, (sql) => sql`update studies set due_at = null`)
    expect(result.outcome).toBe('committed')
    const [study] = await t.db.sql`select generation, due_at is null as is_stable from studies`
    expect(study).toEqual({ generation: 2, is_stable: false })
    const told = await t.db.sql`
      select level from changes_to_come where type = 'reopened' order by change_key`
    expect([...told]).toEqual([{ level: 'study' }])
    expect(await wrongCounts(t.db)).toEqual([])
  })

  test('it is deleted before it was there: it is refused (P8)', async () => {
    await using t = await testGroups()
    const here = { ...(await received(t)), instance: uniqueUID() }
    const result = await commitWhile(t, here, (sql) => buried(sql, here))
    expect(result).toMatchObject({ outcome: 'superfluous', refused: [{ failureReason: 0xc410 }] })
    expect(await t.db.sql`select from instances`).toHaveLength(1)
    expect(await wrongCounts(t.db)).toEqual([])
  })

  test('somebody says how many there should be: it is weighed (P5)', async () => {
    await using t = await testGroups()
    const here = await received(t)
    const result = await commitWhile(
      t,
      here,
      (sql) => sql`
        insert into evidence (study_instance_uid, source, origin, extent, instance_count)
        values (${here.study as string}, 'declared', 'x', 'all', 2)`,
    )
    expect(result.outcome).toBe('committed')
    const [study] = await t.db.sql`select verdict, expected_instance_count from studies`
    expect(study).toEqual({ verdict: 'complete', expected_instance_count: 2 })
  })

  test('its new patient comes with another group: nothing that Postgres says of it names him (P10)', async () => {
    await using t = await testGroups()
    let error: CommitError | undefined
    // Again, if it waited for so long that it gave up.
    for (let round = 1; error === undefined || error.code === '55P03'; round++) {
      const PatientID = `Canary-${round}`
      const group = t.make([
        [{ study: uniqueUID(), series: uniqueUID(), studySays: { PatientID } }],
      ])
      const plain = plainGroupOf(group)
      let commit: Promise<CommitError> | undefined
      await t.db.sql.begin(async (sql) => {
        await sql`
          insert into patients (patient_id, issuer_of_patient_id, first_received_at, last_received_at)
          values (${PatientID}, '', now(), now())`
        commit = t.db.sql
          .begin('deferrable', (own) =>
            plainCommit(own as unknown as typeof t.db.sql, group, plain as P),
          )
          .then(
            () => expect.unreachable(),
            (thrown) => thrown as CommitError,
          )
        await waiting(t, 1)
      })
      error = await commit
    }
    // Detail, hint, context: what is told to the client is what a log of Postgres has.
    expect(JSON.stringify({ ...error, message: error.message })).not.toContain('Canary')
    // Nobody is in the way of the other way.
    expect(wasInTheWay(error)).toBe(true)
  })

  test('the quiet time becomes another one: that is what it waits for (P4)', async () => {
    await using t = await testGroups()
    const here = await received(t)
    let replacing: Promise<void> | undefined
    await commitWhile(t, here, async () => {
      replacing ??= replaceQuietRules(t.db, [{ quietSeconds: 90 }])
    })
    await replacing
    const [study] = await t.db.sql`select quiet_seconds from studies`
    expect(study).toEqual({ quiet_seconds: 90 })
  })

  test('it gives up soon, also where it only looks', async () => {
    await using t = await testGroups()
    const here = await received(t)
    await t.db.sql.begin(async (sql) => {
      await sql`lock table evidence`
      expect(await t.commit([[here]])).toEqual({ outcome: 'contended' })
    })
  })

  test('and then for a deletion of it in another study: it is refused (P8)', async () => {
    await using t = await testGroups()
    const here = { ...(await received(t)), instance: uniqueUID() }
    const there = { study: uniqueUID(), series: uniqueUID(), instance: here.instance }
    const deleter = await t.db.sql.reserve()
    let result: Promise<GroupResult> | undefined
    await t.db.sql.begin(async (sql) => {
      await sql`select from studies for update`
      result = t.commit([[here]])
      await waiting(t, 1)
      // Since the group looked, it was stored elsewhere, and somebody deletes it there.
      await storedElsewhere(t, there)
      await deleter`begin`
      await deleter`delete from instances where sop_instance_uid = ${here.instance}`
      await buried(deleter, there)
    })
    await waiting(t, 1)
    await deleter`commit`
    deleter.release()
    const met = await result
    // A group that waits for long is told so before it sees any of this.
    if (met?.outcome !== 'contended') {
      expect(met).toMatchObject({ outcome: 'superfluous', refused: [{ failureReason: 0xc410 }] })
    }
    const rows = await t.db.sql`
      select from instances where sop_instance_uid = ${here.instance}`
    expect(rows).toHaveLength(0)
  })
})

type P = NonNullable<ReturnType<typeof plainGroupOf>>
