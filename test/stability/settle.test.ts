import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type Change, listChanges, numberChanges } from '../../db/changes.ts'
import type { Database } from '../../db/database.ts'
import {
  type QuietRule,
  reopen,
  replaceQuietRules,
  setDefaultQuietSeconds,
  settleDue,
  settleNow,
} from '../../db/stability.ts'
import { deleted } from '../deletion/support.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld, type TestIntake, testIntake } from '../support/intake.ts'

async function feed(db: Database): Promise<Change[]> {
  await numberChanges(db)
  return listChanges(db, { since: 0, limit: 10_000 })
}

/** Moves the clock: everything was received that much earlier. */
async function pass(db: Database, seconds: number): Promise<void> {
  for (const table of ['patients', 'studies', 'series']) {
    await db.sql`
      update ${db.sql(table)}
      set
        last_received_at = last_received_at - make_interval(secs => ${seconds}),
        due_at = due_at - make_interval(secs => ${seconds}),
        reopened_at = reopened_at - make_interval(secs => ${seconds})`
  }
}

async function settleAll(t: TestIntake): Promise<number> {
  for (let total = 0; ; ) {
    const { settled, waitMs } = await settleDue(t.db, t.intake.untoldStudies)
    total += settled
    if (waitMs !== 0) return total
  }
}

async function isWaiting({ db }: TestIntake): Promise<void> {
  const lock = () => db.sql`
    select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
  await expect.poll(async () => (await lock()).length, { interval: 5 }).toBe(1)
}

function stableOf(changes: Change[]) {
  return changes.filter(({ type }) => type === 'stable').map(({ level }) => level)
}

function ofOneStudy() {
  return {
    patientID: uniqueUID(),
    studyInstanceUID: uniqueUID(),
    seriesInstanceUID: uniqueUID(),
  }
}

describe('a study that nothing arrives for (P4)', () => {
  test('settles after its quiet time, not before: series, study, patient, once each (OST-1)', async () => {
    await using t = await testIntake()
    await t.send([dicomFile(ofOneStudy())])
    await pass(t.db, 59)
    expect(await settleAll(t)).toBe(0)
    await pass(t.db, 1)
    expect(await settleAll(t)).toBe(3)
    expect(await settleAll(t)).toBe(0)
    expect(stableOf(await feed(t.db))).toEqual(['series', 'study', 'patient'])
  })

  test('waits again from its last instance', async () => {
    await using t = await testIntake()
    const here = ofOneStudy()
    await t.send([dicomFile(here)])
    await pass(t.db, 40)
    await t.send([dicomFile(here)])
    await pass(t.db, 40)
    expect(await settleAll(t)).toBe(0)
    await pass(t.db, 20)
    expect(await settleAll(t)).toBe(3)
  })

  test('says when to look again: not before something can settle', async () => {
    await using t = await testIntake()
    expect((await settleDue(t.db, [])).waitMs).toBeUndefined()
    await t.send([dicomFile()])
    const { waitMs } = await settleDue(t.db, [])
    expect(waitMs).toBeGreaterThan(50_000)
    expect(waitMs).toBeLessThanOrEqual(60_000)
  })

  test('is told with counts, and with a digest that a consumer can compute', async () => {
    await using t = await testIntake()
    const here = ofOneStudy()
    const other = { ...here, seriesInstanceUID: uniqueUID() }
    const uids = [uniqueUID(), uniqueUID(), uniqueUID()] as const
    const files = [
      dicomFile({ ...here, sopInstanceUID: uids[0] }),
      dicomFile({ ...here, sopInstanceUID: uids[1] }),
      dicomFile({ ...other, sopInstanceUID: uids[2] }),
    ]
    await t.send(files)
    await pass(t.db, 60)
    await settleAll(t)
    const digestOf = (lines: [uid: string, digest: string][]) =>
      sha256(
        lines
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([uid, digest]) => `${uid} ${digest}\n`)
          .join(''),
      )
    const instance = (n: 0 | 1 | 2): [string, string] => [uids[n], sha256(files[n] as Uint8Array)]
    const series = digestOf([instance(0), instance(1)])
    const study = digestOf([
      [here.seriesInstanceUID, series],
      [other.seriesInstanceUID, digestOf([instance(2)])],
    ])
    const patient = digestOf([[here.studyInstanceUID, study]])
    const stable = (await feed(t.db)).filter(({ type }) => type === 'stable')
    expect(
      stable.find((one) => one.seriesInstanceUID === here.seriesInstanceUID)?.details,
    ).toMatchObject({ generation: 1, instanceCount: 2, addedInstanceCount: 2, digest: series })
    const byteLength = files.reduce((sum, file) => sum + file.length, 0)
    expect(stable.find(({ level }) => level === 'study')).toMatchObject({
      studyInstanceUID: here.studyInstanceUID,
      patientID: here.patientID,
      details: { generation: 1, seriesCount: 2, instanceCount: 3, byteLength, digest: study },
    })
    expect(stable.find(({ level }) => level === 'patient')?.details).toMatchObject({
      studyCount: 1,
      seriesCount: 2,
      instanceCount: 3,
      digest: patient,
    })
  })
})

describe('a late instance', () => {
  test('opens the next generation, and the next event tells what was added (OST-7)', async () => {
    await using t = await testIntake()
    const here = ofOneStudy()
    await t.send([dicomFile(here)])
    await pass(t.db, 60)
    await settleAll(t)
    await t.send([dicomFile(here), dicomFile({ ...here, seriesInstanceUID: uniqueUID() })])
    await pass(t.db, 60)
    expect(await settleAll(t)).toBe(4)
    const changes = await feed(t.db)
    expect(
      changes
        .filter(({ type }) => type === 'reopened')
        .map(({ level, details }) => [level, details]),
    ).toEqual(['patient', 'study', 'series'].map((level) => [level, { generation: 2 }]))
    const studies = changes.filter((one) => one.type === 'stable' && one.level === 'study')
    expect(studies.map(({ details }) => details)).toMatchObject([
      { generation: 1, instanceCount: 1, addedInstanceCount: 1 },
      { generation: 2, instanceCount: 3, addedInstanceCount: 2, addedSeriesCount: 1 },
    ])
  })

  test('with bytes that are stored already reopens nothing (OTA-14, OST-10)', async () => {
    await using t = await testIntake()
    const file = dicomFile()
    await t.send([file])
    await pass(t.db, 60)
    await settleAll(t)
    await t.send([file])
    const changes = await feed(t.db)
    expect(changes.filter(({ type }) => type === 'reopened')).toEqual([])
    await pass(t.db, 60)
    expect(await settleAll(t)).toBe(0)
  })
})

describe('what is on its way (OTA-3)', () => {
  test('holds its study back until it ends, from the moment when its head names it', async () => {
    await using t = await testIntake(nothingHeld)
    const here = ofOneStudy()
    await t.send([dicomFile(here)])
    await pass(t.db, 60)
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    transfer.beginPart()
    const late = dicomFile(here)
    transfer.push(late.subarray(0, late.length - 10))
    await transfer.drain()
    expect(await settleAll(t)).toBe(0)
    // Another server, which knows only what the database does.
    await expect.poll(async () => (await t.db.sql`select from transfer_studies`).length).toBe(1)
    expect((await settleDue(t.db, [])).settled).toBe(0)
    transfer.push(late.subarray(late.length - 10))
    transfer.endPart()
    await transfer.commit()
    expect(await t.db.sql`select from transfer_studies`).toHaveLength(0)
    expect(await settleAll(t)).toBe(0)
    await pass(t.db, 60)
    expect(await settleAll(t)).toBe(3)
    expect((await feed(t.db)).filter(({ type }) => type === 'reopened')).toEqual([])
  })

  test('outlives a crash of Postgres, as the transfer may: what says so is in the log of Postgres (OST-5)', async () => {
    await using t = await testIntake(nothingHeld)
    const rows = await t.db.sql`
      select relname, relpersistence from pg_class where relname in ('transfers', 'transfer_studies')`
    expect(rows.map(({ relpersistence }) => relpersistence)).toEqual(['p', 'p'])
  })

  test('holds its study back while it is small and only this server knows of it', async () => {
    await using t = await testIntake()
    const here = ofOneStudy()
    await t.send([dicomFile(here)])
    await pass(t.db, 60)
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    transfer.beginPart()
    transfer.push(dicomFile(here))
    expect(await settleAll(t)).toBe(0)
    await transfer.abort('the connection went away')
    expect(await settleAll(t)).toBe(3)
  })

  test('does not hold back other studies', async () => {
    await using t = await testIntake(nothingHeld)
    await t.send([dicomFile(ofOneStudy())])
    await pass(t.db, 60)
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    transfer.beginPart()
    transfer.push(dicomFile(ofOneStudy()))
    await transfer.drain()
    expect(await settleAll(t)).toBe(3)
    await transfer.abort('the connection went away')
  })

  test('holds nothing back any more when the lease of its server is over', async () => {
    await using t = await testIntake(nothingHeld)
    const here = ofOneStudy()
    await t.send([dicomFile(here)])
    await pass(t.db, 60)
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    transfer.beginPart()
    transfer.push(dicomFile(here))
    await transfer.drain()
    await expect.poll(async () => (await t.db.sql`select from transfer_studies`).length).toBe(1)
    await t.db
      .sql`update transfers set lease_until = now() - interval '1 s' where state = 'receiving'`
    expect((await settleDue(t.db, [])).settled).toBe(3)
    await transfer.abort('the connection went away')
  })
})

describe('the patient of what is on its way', () => {
  test('does not settle either, whether the database knows of it, or only this server', async () => {
    for (const limits of [nothingHeld, {}]) {
      await using t = await testIntake(limits)
      const patientID = uniqueUID()
      await t.send([dicomFile({ patientID, studyInstanceUID: uniqueUID() })])
      await pass(t.db, 60)
      // A new study of the patient, named by the path before anything says whose it is.
      const studyInstanceUID = uniqueUID()
      const transfer = await t.intake.open({
        service: 'stow',
        handling: 'strict',
        studyInstanceUID,
      })
      transfer.beginPart()
      transfer.push(dicomFile({ patientID, studyInstanceUID }))
      await transfer.drain()
      if (limits === nothingHeld) {
        await expect
          .poll(() => t.db.sql`select from transfer_studies where patient_id = ${patientID}`)
          .toHaveLength(1)
      }
      expect(await settleAll(t)).toBe(2)
      await transfer.abort('the connection went away')
      expect(await settleAll(t)).toBe(1)
    }
  })

  test('does not settle while a late instance comes to a study of it that is stable', async () => {
    await using t = await testIntake(nothingHeld)
    const stable = ofOneStudy()
    await t.send([dicomFile(stable)])
    await pass(t.db, 60)
    await settleAll(t)
    await t.send([dicomFile({ patientID: stable.patientID, studyInstanceUID: uniqueUID() })])
    await pass(t.db, 60)
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    transfer.beginPart()
    transfer.push(dicomFile({ ...stable, patientID: uniqueUID() }))
    await transfer.drain()
    expect(await settleAll(t)).toBe(2)
    await transfer.abort('the connection went away')
    expect(await settleAll(t)).toBe(1)
  })
})

describe('what is held back', () => {
  test('does not delay what is due in the meantime', async () => {
    await using t = await testIntake(nothingHeld)
    const here = ofOneStudy()
    await t.send([dicomFile(here)])
    await pass(t.db, 60)
    await t.send([dicomFile()])
    await pass(t.db, 59.8)
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    transfer.beginPart()
    transfer.push(dicomFile(here))
    const { waitMs } = await settleDue(t.db, t.intake.untoldStudies)
    expect(waitMs).toBeLessThanOrEqual(200)
    await transfer.abort('the connection went away')
  })
})

describe('the quiet time', () => {
  test('of a sender stays when other rules change', async () => {
    await using t = await testIntake()
    const sender = '10.0.0.7'
    const rules = [{ sender, quietSeconds: 300 }, { quietSeconds: 60 }]
    await replaceQuietRules(t.db, rules)
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict', sender })
    transfer.beginPart()
    transfer.push(dicomFile())
    transfer.endPart()
    await transfer.commit()
    await replaceQuietRules(t.db, [{ modality: 'US', quietSeconds: 5 }, ...rules])
    await pass(t.db, 299)
    expect(await settleAll(t)).toBe(0)
    await pass(t.db, 1)
    expect(await settleAll(t)).toBe(3)
  })

  test('holds for what an administrator opens again, also after he had it settled at once', async () => {
    await using t = await testIntake()
    const here = ofOneStudy()
    await t.send([dicomFile(here)])
    expect(await settleNow(t.db, here.studyInstanceUID)).toBe(true)
    expect(await settleAll(t)).toBe(3)
    expect(await reopen(t.db, here.studyInstanceUID)).toBe(true)
    await pass(t.db, 59)
    expect(await settleAll(t)).toBe(0)
    await pass(t.db, 1)
    expect(await settleAll(t)).toBe(2)
  })

  test.each([
    { what: 'a study', levels: ['patient'] },
    { what: 'an instance', levels: ['series', 'study', 'patient'] },
  ])(
    'holds for what is left when $what is deleted, also after all was settled at once',
    async ({ what, levels }) => {
      await using t = await testIntake()
      await replaceQuietRules(t.db, [{ modality: 'US', quietSeconds: 90 }, { quietSeconds: 20 }])
      const goes = ofOneStudy()
      const stays = { ...ofOneStudy(), patientID: goes.patientID, modality: 'US' }
      const sopInstanceUID = uniqueUID()
      await t.send([dicomFile({ ...goes, sopInstanceUID }), dicomFile(goes), dicomFile(stays)])
      for (const { studyInstanceUID } of [goes, stays]) {
        await settleNow(t.db, studyInstanceUID)
        await settleAll(t)
      }
      await numberChanges(t.db)
      const [{ last } = { last: 0 }] = await t.db.sql<
        { last: number }[]
      >`select max(seq) as last from changes`
      const { studyInstanceUID, seriesInstanceUID } = goes
      const path = what === 'a study' ? {} : { seriesInstanceUID, sopInstanceUID }
      await deleted(t.db, { studyInstanceUID, ...path })
      await pass(t.db, 89)
      await settleAll(t)
      await pass(t.db, 1)
      expect(await settleAll(t)).toBe(1)
      await numberChanges(t.db)
      expect(stableOf(await listChanges(t.db, { since: last, limit: 100 }))).toEqual(levels)
    },
  )

  test('can be changed, at once for what waits', async () => {
    await using t = await testIntake()
    await t.send([dicomFile()])
    await pass(t.db, 10)
    await setDefaultQuietSeconds(t.db, 11)
    expect(await settleAll(t)).toBe(0)
    await pass(t.db, 1)
    expect(await settleAll(t)).toBe(3)
  })

  describe.each([
    { others: [] as QuietRule[], kind: 'one rule' },
    { others: [{ modality: 'ZZ', quietSeconds: 1 }], kind: 'several rules' },
  ])('of $kind that are being replaced', ({ others }) => {
    const was = [...others, { quietSeconds: 300 }]
    const becomes = [...others, { quietSeconds: 5 }]
    type Study = ReturnType<typeof ofOneStudy>

    test.each<{ kind: string; limits?: object; act: (t: TestIntake, here: Study) => unknown }>([
      { kind: 'comes in a group', act: (t, here) => t.send([dicomFile(here)]) },
      { kind: 'is new in a group', act: (t) => t.send([dicomFile(ofOneStudy())]) },
      {
        kind: 'comes alone',
        limits: nothingHeld,
        act: (t, here) => t.send([dicomFile(here), dicomFile(ofOneStudy())]),
      },
      { kind: 'is opened again', act: (t, here) => reopen(t.db, here.studyInstanceUID) },
      {
        kind: 'is left by a deletion',
        act: (t, { patientID: _, ...here }) => deleted(t.db, { ...here, sopInstanceUID: '1.2.3' }),
      },
    ])('is the new one for what $kind meanwhile (P4)', async ({ limits, act }) => {
      await using t = await testIntake(limits)
      await replaceQuietRules(t.db, was)
      const here = ofOneStudy()
      await t.send([dicomFile({ ...here, sopInstanceUID: '1.2.3' }), dicomFile(here)])
      await pass(t.db, 300)
      await settleAll(t)
      let done: unknown
      await t.db.sql.begin(async (sql) => {
        await replaceQuietRules({ ...t.db, sql: sql as unknown as typeof t.db.sql }, becomes)
        done = act(t, here)
        await Promise.race([done, isWaiting(t)])
      })
      await done
      const rows = await t.db.sql`
        select quiet_seconds as seconds from patients where due_at is not null
        union select quiet_seconds from studies where due_at is not null
        union select quiet_seconds from series where due_at is not null`
      expect([...rows]).toEqual([{ seconds: 5 }])
    })
  })

  test('that cannot be changed, for a commit lasts, is told to be so, and keeps no other commit for long', async () => {
    await using t = await testIntake(nothingHeld)
    await t.db.sql.begin(async (sql) => {
      await sql`select hold_quiet_rules()`
      const replaced = replaceQuietRules(t.db, [{ quietSeconds: 5 }], 1000)
      const refused = expect(replaced).rejects.toMatchObject({ code: '55P03' })
      await isWaiting(t)
      await t.send([dicomFile()])
      await refused
    })
    await replaceQuietRules(t.db, [{ quietSeconds: 5 }])
  })

  test('may differ by modality, sender and attributes of the study (OST-13)', async () => {
    await using t = await testIntake()
    const rules = [
      { position: 1, modality: 'US', quiet_seconds: 300 },
      { position: 2, keyword: 'StudyDescription', value: 'Screening', quiet_seconds: 5 },
    ]
    for (const rule of rules) await t.db.sql`insert into quiet_rules ${t.db.sql(rule)}`
    const slow = { ...ofOneStudy(), modality: 'US' }
    const fast = { ...ofOneStudy(), modality: 'CT', studyDescription: 'Screening' }
    const usual = { ...ofOneStudy(), modality: 'CT' }
    await t.send([dicomFile(slow), dicomFile(fast), dicomFile(usual)])
    for (const [seconds, study] of [
      [5, fast],
      [55, usual],
      [240, slow],
    ] as const) {
      await pass(t.db, seconds - 1)
      expect(await settleAll(t)).toBe(0)
      await pass(t.db, 1)
      expect(await settleAll(t)).toBe(3)
      const last = (await feed(t.db)).findLast(({ level }) => level === 'study')
      expect(last?.studyInstanceUID).toBe(study.studyInstanceUID)
    }
  })
})

describe('many servers that settle at the same time', () => {
  test('write each event once (OST-2, OST-17)', async () => {
    await using t = await testIntake()
    const files = Array.from({ length: 300 }, () => dicomFile(ofOneStudy()))
    await t.send(files)
    await pass(t.db, 60)
    const settled = await Promise.all(Array.from({ length: 8 }, () => settleAll(t)))
    const rest = await settleAll(t)
    expect(settled.reduce((sum, n) => sum + n, rest)).toBe(900)
    const stable = (await feed(t.db)).filter(({ type }) => type === 'stable')
    expect(stable).toHaveLength(900)
    const position = new Map(
      stable.map((one) => [`${one.level} ${one.studyInstanceUID ?? one.patientID}`, one.seq]),
    )
    for (const { level, studyInstanceUID, patientID } of stable) {
      if (level !== 'study') continue
      const [series, study, patient] = [
        `series ${studyInstanceUID}`,
        `study ${studyInstanceUID}`,
        `patient ${patientID}`,
      ].map((key) => position.get(key) as number) as [number, number, number]
      expect(series).toBeLessThan(study)
      expect(study).toBeLessThan(patient)
    }
  })
})

function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex')
}
