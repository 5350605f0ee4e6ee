import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { numberChanges } from '../../db/changes.ts'
import { putEvidence, type Statement } from '../../db/evidence.ts'
import { claimQuestions } from '../../db/questions.ts'
import { listQuietRules, replaceQuietRules, settleDue } from '../../db/stability.ts'
import { askPeer } from '../../server/completeness/ask-peer.ts'
import { uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld } from '../support/intake.ts'
import { aStudy } from '../support/study.ts'
import { type TestApp, testApp } from '../web/app.ts'

let server: TestApp

beforeAll(async () => {
  server = await testApp()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

const declare = (studyInstanceUID: string, body: unknown) =>
  server.app.request(`/api/studies/${studyInstanceUID}/evidence`, {
    method: 'PUT',
    body: JSON.stringify(body),
  })

async function completenessOf(studyInstanceUID: string) {
  const answer = await server.app.request(`/api/studies/${studyInstanceUID}`)
  return ((await answer.json()) as { completeness: Record<string, unknown> }).completeness
}

describe('a series is not complete (P5)', () => {
  test('by an instance that its list names and that lies in another series', async () => {
    const one = aStudy(2)
    const two = aStudy(1, uniqueUID(), one.studyInstanceUID)
    await server.send([...one.files, ...two.files])
    const { studyInstanceUID } = one
    const elsewhere = two.uids[0] as string
    await declare(studyInstanceUID, {
      series: [
        {
          seriesInstanceUID: one.seriesInstanceUID,
          sopInstanceUIDs: [one.uids[0], elsewhere],
        },
        { seriesInstanceUID: two.seriesInstanceUID, instanceCount: 1 },
      ],
    })
    const { verdict, series } = await completenessOf(studyInstanceUID)
    expect(series).toContainEqual(
      expect.objectContaining({ seriesInstanceUID: one.seriesInstanceUID, verdict: 'conflict' }),
    )
    expect(verdict).toBe('conflict')
  })

  test('nor partial when 0 were declared of it and none came', async () => {
    const here = aStudy(1)
    const empty = uniqueUID()
    await server.send(here.files)
    await declare(here.studyInstanceUID, {
      series: [
        { seriesInstanceUID: here.seriesInstanceUID, instanceCount: 1 },
        { seriesInstanceUID: empty, instanceCount: 0 },
      ],
    })
    const { verdict, series } = await completenessOf(here.studyInstanceUID)
    expect(verdict).toBe('complete')
    expect(series).toContainEqual({
      seriesInstanceUID: empty,
      verdict: 'complete',
      received: 0,
      expected: 0,
    })
  })
})

describe.each([
  { way: 'in a group', limits: {} },
  { way: 'on its own', limits: nothingHeld },
])('a count that comes with a request that is committed $way', ({ limits }) => {
  test('is weighed together with its instances: the feed tells no verdict in between', async () => {
    await using app = await testApp({}, limits)
    const study = aStudy(3)
    const { studyInstanceUID } = study
    const send = async (files: Uint8Array[], declaredInstanceCount: number) => {
      const transfer = await app.intake.open({
        service: 'stow',
        handling: 'strict',
        studyInstanceUID,
        declaredInstanceCount,
      })
      for (const file of files) {
        transfer.beginPart()
        transfer.push(file)
        await transfer.drain()
        transfer.endPart()
      }
      expect((await transfer.commit()).state).toBe('committed')
    }
    await send(study.files.slice(0, 1), 2)
    // The sender knows of one more by now.
    await send(study.files.slice(1, 2), 3)
    await send(study.files.slice(2), 3)
    await numberChanges(app.db)
    const told = await app.db.sql`
      select details ->> 'verdict' as verdict
      from changes
      where type in ('complete', 'incomplete')
      and level = 'study'
      order by seq`
    expect(told.map(({ verdict }) => verdict)).toEqual(['partial', 'complete'])
  })
})

describe('a peer (P5)', () => {
  const said = (instanceCount: number | null, detail?: string): Statement => ({
    source: 'peer',
    origin: '',
    extent: 'all',
    claims: [{ instanceCount, detail }],
    claimedBy: 'http://peer.example/dicom-web',
  })

  test('that cannot be asked again does not take back what it said', async () => {
    const study = aStudy(2)
    await server.send(study.files)
    await putEvidence(server.db, study.studyInstanceUID, said(2))
    await putEvidence(server.db, study.studyInstanceUID, said(null, 'It answered 503'))
    expect(await completenessOf(study.studyInstanceUID)).toMatchObject({
      verdict: 'complete',
      evidence: [{ source: 'peer', instanceCount: 2, detail: 'It answered 503' }],
    })
    await putEvidence(server.db, study.studyInstanceUID, said(3))
    const { verdict, evidence } = await completenessOf(study.studyInstanceUID)
    expect(verdict).toBe('partial')
    expect((evidence as object[])[0]).not.toHaveProperty('detail')
  })

  test('is asked of a settled study by one server, also when the other one is done already', async () => {
    const study = aStudy(1)
    await server.send(study.files)
    await server.db.sql`
      update studies set due_at = null, settled_at = now()
      where study_instance_uid = ${study.studyInstanceUID}`
    const since = new Date(Date.now() - 60_000)
    const claim = () =>
      claimQuestions(server.db, 'http://peer.example', { since, leaseSeconds: 60, limit: 10 })
    // The second one has looked which studies are to be asked of, and then waits, while the first one claims and asks.
    const sql = await server.db.sql.reserve()
    await sql`begin`
    await sql`
      insert into evidence (study_instance_uid, source, extent, asked_at)
      values (${study.studyInstanceUID}, 'peer', 'all', now())`
    const second = claim()
    for (;;) {
      const [row] = await server.db.sql`
        select count(*)::integer as count from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`
      if (row?.count > 0) break
    }
    await sql`commit`
    sql.release()
    const taken = await second
    expect(taken.map((one) => one.studyInstanceUID)).not.toContain(study.studyInstanceUID)
  })

  test.each([
    {
      name: 'that gives less at once than it is asked for is asked for the rest',
      has: 5,
      knowsOffset: true,
      claim: { instanceCount: 5, sopInstanceUIDs: ['1.0', '1.1', '1.2', '1.3', '1.4'] },
    },
    {
      name: 'that has more than it tells, and knows no offset, says nothing',
      has: 5,
      knowsOffset: false,
      claim: {
        instanceCount: null,
        detail: 'It has more than it tells, and gives the same for every offset',
      },
    },
    {
      name: 'that knows no offset and tells all is believed',
      has: 2,
      knowsOffset: false,
      claim: { instanceCount: 2, sopInstanceUIDs: ['1.0', '1.1'] },
    },
  ])('$name', async ({ has, knowsOffset, claim }) => {
    const peer = createServer((request, response) => {
      const { searchParams } = new URL(request.url as string, 'http://peer')
      const from = knowsOffset ? Number(searchParams.get('offset')) : 0
      const uids = Array.from({ length: has }, (_, index) => `1.${index}`).slice(from, from + 2)
      const isCut = from + uids.length < has
      response.writeHead(200, {
        'content-type': 'application/dicom+json',
        ...(isCut ? { warning: '299 peer "There are additional results"' } : {}),
      })
      response.end(JSON.stringify(uids.map((uid) => ({ '00080018': { vr: 'UI', Value: [uid] } }))))
    }).listen(0, '127.0.0.1')
    await once(peer, 'listening')
    const { port } = peer.address() as AddressInfo
    const url = `http://127.0.0.1:${port}`
    const { signal } = new AbortController()
    expect(await askPeer({ url, token: undefined, timeoutMs: 5000 }, '1.2', signal)).toEqual(claim)
    peer.closeAllConnections()
    peer.close()
  })
})

describe('a study that becomes complete (P4, P5)', () => {
  const stableOf = async (app: TestApp) => {
    await settleDue(app.db, [])
    await numberChanges(app.db)
    const rows = await app.db.sql`select level from changes where type = 'stable' order by seq`
    return rows.map(({ level }) => level)
  }

  test('settles at once where the rule says so; its patient waits', async () => {
    await using app = await testApp()
    await replaceQuietRules(app.db, [{ quietSeconds: 60, settleWhenComplete: true }])
    const study = aStudy(2)
    const claims = [{ instanceCount: 2 }]
    const statement = { source: 'declared', origin: '', extent: 'all', claims } as const
    await putEvidence(app.db, study.studyInstanceUID, statement)
    await app.send(study.files.slice(0, 1))
    expect(await stableOf(app)).toEqual([])
    await app.send(study.files.slice(1))
    expect(await stableOf(app)).toEqual(['series', 'study'])
    // What comes afterwards waits again.
    await app.send(aStudy(1, uniqueUID(), study.studyInstanceUID).files)
    expect(await stableOf(app)).toEqual(['series', 'study'])
  })

  test('waits where the rule of one of its series does not say so, and while more is on its way', async () => {
    await using app = await testApp()
    const rules = [
      { modality: 'MR', quietSeconds: 60 },
      { quietSeconds: 60, settleWhenComplete: true },
    ]
    await replaceQuietRules(app.db, rules)
    expect(await listQuietRules(app.db)).toEqual(rules)
    const [waits, held] = [aStudy(1), aStudy(1)]
    const { studyInstanceUID } = waits
    const other = aStudy(1, uniqueUID(), studyInstanceUID, { modality: 'MR' })
    const claims = [{ instanceCount: 2 }]
    const statement = { source: 'declared', origin: '', extent: 'all', claims } as const
    await app.send([...waits.files, ...other.files])
    expect(await putEvidence(app.db, studyInstanceUID, statement)).toBe('complete')
    expect(await stableOf(app)).toEqual([])

    await app.send(held.files)
    await putEvidence(app.db, held.studyInstanceUID, {
      ...statement,
      claims: [{ instanceCount: 1 }],
    })
    const onItsWay = [{ studyInstanceUID: held.studyInstanceUID }]
    expect((await settleDue(app.db, onItsWay)).settled).toBe(0)
    expect(await stableOf(app)).toEqual(['series', 'study'])
  })
})

test('a commit reads of a long list what it brings, and no more (P3)', async () => {
  const study = aStudy(1000)
  const { studyInstanceUID, seriesInstanceUID, uids } = study
  await putEvidence(server.db, studyInstanceUID, {
    source: 'declared',
    origin: '',
    extent: 'all',
    claims: [{ instanceCount: uids.length, sopInstanceUIDs: uids }],
  })
  const transferID = randomUUID()
  const sql = await server.db.sql.reserve()
  await sql`begin`
  for (const setting of ['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) {
    await sql`select set_config(${setting}, 'off', true)`
  }
  await sql`
    insert into staged_instances (
      transfer_id, position, study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid,
      transfer_syntax_uid, segment_id, segment_offset, byte_length, metadata_length, digest, instance
    )
    select
      ${transferID}, n, ${studyInstanceUID}, ${seriesInstanceUID}, uid, '1.2', '1.2', ${randomUUID()}, 0, 1, 1,
      decode('00', 'hex'), '{}'
    from unnest(${uids.slice(500, 520)}::text[]) with ordinality as u (uid, n)`
  await sql`select weigh_arrived(${transferID}, '{}')`
  const [read] = await sql`
    select idx_tup_fetch::integer as count
    from pg_stat_xact_user_tables
    where relname = 'evidence_instances'`
  const [list] = await sql`
    select missing_count from evidence where study_instance_uid = ${studyInstanceUID}`
  await sql`rollback`
  sql.release()
  expect(list).toEqual({ missing_count: 980 })
  expect(read?.count).toBeLessThanOrEqual(2 * 20)
})
