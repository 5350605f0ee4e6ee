/** @jsxImportSource hono/jsx */
import { describe, expect, test } from 'vitest'
import type { Commitment } from '../../db/commitments.ts'
import type { KeptEvidence } from '../../db/evidence.ts'
import { CommitmentPage, type CommitmentView } from '../../web/pages/commitment-page.tsx'
import { CommitmentTable, commitmentSign } from '../../web/parts/commitment-table.tsx'
import {
  Evidence,
  type EvidenceView,
  missingCounted,
  standingOf,
  verdictWords,
} from '../../web/parts/evidence.tsx'
import { textOf } from '../../web/respond.tsx'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld } from '../support/intake.ts'
import { aStudy } from '../support/study.ts'
import { placeOfLink, testApp, toldAt } from './app.ts'
import { readable } from './render.ts'

const at = new Date('2026-03-01T12:00:00Z')

function said(changes: Partial<KeptEvidence> = {}): KeptEvidence {
  return {
    seriesInstanceUID: null,
    source: 'declared',
    origin: '',
    extent: 'all',
    instanceCount: 192,
    isList: false,
    missingCount: 0,
    claimedBy: '10.0.0.7',
    detail: null,
    claimedAt: at,
    askedAt: null,
    ...changes,
  }
}

function aView(changes: Partial<EvidenceView> = {}): EvidenceView {
  return {
    studyInstanceUID: '1.2.840.1',
    verdict: 'partial',
    instanceCount: 43,
    expectedInstanceCount: 192,
    evidence: [said()],
    isCut: false,
    series: [{ seriesInstanceUID: '1.2.3', verdict: 'partial', received: 10, expected: 12 }],
    missing: [],
    missingCount: 0,
    ...changes,
  }
}

describe('evidence', () => {
  test.each([
    [{}, '43 of 192 instances are here; 149 missing.'],
    [{ expectedInstanceCount: null }, '43 instances are here; some that are named are missing.'],
    [{ verdict: 'unknown', evidence: [] }, 'Nobody has said how many instances there are'],
    [{ verdict: 'unknown' }, 'Nothing that was said tells how many'],
    [{ verdict: 'complete', expectedInstanceCount: 43 }, 'nothing that is named is missing'],
    [{ verdict: 'conflict' }, 'does not agree with it or with itself'],
  ] as const)('says the verdict and why, %j', (changes, words) => {
    expect(verdictWords(aView(changes as Partial<EvidenceView>))).toContain(words)
  })

  test.each([
    [{}, '149 missing'],
    [{ instanceCount: 43 }, 'Agrees'],
    [{ instanceCount: 43, missingCount: 2 }, '2 missing'],
    [{ instanceCount: 40 }, '3 more here'],
    [{ instanceCount: null, detail: 'No answer' }, 'No answer'],
    [{ extent: 'some', instanceCount: 5 }, 'All of them here'],
    [{ extent: 'some', instanceCount: 5, missingCount: 1 }, '1 missing'],
    [{ seriesInstanceUID: '1.2.3', instanceCount: 12 }, '2 missing'],
    [{ seriesInstanceUID: '9.9', instanceCount: 1 }, '1 missing'],
  ] as const)('holds each statement against what is here, %j', (changes, word) => {
    expect(standingOf(said(changes), aView()).word).toBe(word)
  })

  test('says which are missing only where somebody has said which', () => {
    expect(readable(<Evidence view={aView()} />)).toContain(
      'Nobody has said which ones are missing',
    )
    const named = readable(<Evidence view={aView({ missing: ['1.2.3.4'], missingCount: 149 })} />)
    expect(named).toContain('1.2.3.4')
    expect(named).toContain('All 149 that are missing')
    const many = <Evidence view={aView({ missing: ['1.2'], missingCount: missingCounted })} />
    expect(readable(many)).toContain('All 10,000 or more that are missing')
  })

  test('folds away what would hide the rest of the page', () => {
    const view = aView({
      evidence: Array.from({ length: 40 }, (_, i) => said({ seriesInstanceUID: `1.2.${i}` })),
    })
    expect(readable(<Evidence view={view} />)).toContain('28 more statements')
    expect(textOf(<Evidence view={view} />)).not.toContain('<details class="more" open')
  })

  test('escapes what a sender or a peer said', () => {
    const view = aView({ evidence: [said({ detail: '<b>', claimedBy: '<i>' })] })
    expect(textOf(<Evidence view={view} />)).not.toMatch(/<b>|<i>/)
  })
})

function aCommitment(changes: Partial<Commitment> = {}): Commitment {
  return {
    commitmentKey: 1,
    transactionUID: '2.25.1',
    state: 'finished',
    form: 'flat',
    requester: '10.0.0.7',
    requesterProduct: 'modality/1',
    requestedAt: at,
    finishedAt: new Date(at.getTime() + 1500),
    instanceCount: 5,
    byteLength: 1000,
    checkedCount: 5,
    committedCount: 5,
    failedCount: 0,
    ...changes,
  }
}

describe('a commitment', () => {
  test('is waiting, committed or failed, and each looks different', () => {
    const signs = [
      commitmentSign(aCommitment()),
      commitmentSign(aCommitment({ state: 'waiting', finishedAt: null })),
      commitmentSign(aCommitment({ failedCount: 2 })),
    ]
    expect(signs.map(({ word }) => word)).toEqual(['Committed', 'Waiting', '2 failed'])
    expect(new Set(signs.map(({ icon }) => icon)).size).toBe(3)
    expect(new Set(signs.map(({ tone }) => tone)).size).toBe(3)
  })

  test('tells in words why instances failed', () => {
    const failures = [{ commitmentKey: 1, failureReason: 0x0112, count: 2 }]
    const commitment = aCommitment({ failedCount: 2, committedCount: 3 })
    const row = readable(<CommitmentTable caption="" commitments={[{ commitment, failures }]} />)
    expect(row).toContain('3 of 5')
    expect(row).toContain('2 × Not here (0112)')
    expect(row).toContain('took 1.5 s')
  })
})

describe('the page of a commitment', () => {
  function words(changes: Partial<CommitmentView> = {}) {
    const view: CommitmentView = {
      commitment: aCommitment(),
      studies: [],
      reasons: [],
      lost: { deletedCount: 0, damagedCount: 0 },
      failures: [],
      next: undefined,
      isFirst: true,
      ...changes,
    }
    return readable(<CommitmentPage view={view} />)
  }

  test('lets the sender delete its own only while all of it is still here', () => {
    expect(words()).toContain(
      'All 5 instances were committed on 2026-03-01. They are still here: the sender may delete its own.',
    )
    const lost = words({ lost: { deletedCount: 4, damagedCount: 1 } })
    expect(lost).toContain('All 5 instances were committed on 2026-03-01.')
    expect(lost).toContain(
      'Since then 4 instances deleted and 1 instance found damaged here: the sender should keep its own.',
    )
    expect(lost).not.toContain('may delete')
  })

  test('gives no such advice where nobody knows any more', () => {
    const old = words({ commitment: aCommitment({ state: 'discarded' }), lost: undefined })
    expect(old).toContain('All 5 instances were committed on 2026-03-01. The result in detail')
    expect(old).not.toContain('may delete')
  })
})

describe('actions on a study', () => {
  test('lead back to it, and tell it numbers and nothing else', async () => {
    await using archive = await testApp()
    const study = aStudy(2)
    await archive.send(study.files)
    const path = `/studies/${study.studyInstanceUID}`
    const declared = await post(archive, `${path}/actions/declare`, { count: '1,000' })
    expect(toldAt(`${path}/actions/declare`, declared)).toBe(`${path} done=declare&expected=1000`)
    const taken = await post(archive, `${path}/actions/declare`, { withdraw: 'yes' })
    expect(toldAt(`${path}/actions/declare`, taken)).toBe(`${path} done=declare&withdrawn=1`)
    const verified = await post(archive, `${path}/actions/verify`, {})
    expect(toldAt(`${path}/actions/verify`, verified)).toMatch(
      / done=verify&instances=2&bytes=\d+&damaged=0&unreadable=0$/,
    )
  })

  test('note when a study was read again, where nothing else is in its segments', async () => {
    await using archive = await testApp({}, nothingHeld)
    const [study, other] = [aStudy(2), aStudy(1)]
    await archive.send(study.files)
    await archive.send(other.files)
    const path = `/studies/${study.studyInstanceUID}`
    expect(await read(archive, path)).toContain('has not come round to it yet')
    await post(archive, `${path}/actions/verify`, {})
    expect(await read(archive, path)).toContain('All of it was read again since it came')
    const path2 = `/studies/${other.studyInstanceUID}`
    expect(await read(archive, path2)).toContain('has not come round to it yet')
  })

  test('do not say so of a segment that others share, of which not all was read', async () => {
    await using archive = await testApp()
    const [study, other] = [aStudy(2), aStudy(1)]
    await archive.send([...study.files, ...other.files])
    const path = `/studies/${study.studyInstanceUID}`
    await post(archive, `${path}/actions/verify`, {})
    expect(await read(archive, path)).toContain('has not come round to it yet')
    await post(archive, `/studies/${other.studyInstanceUID}/actions/verify`, {})
    expect(await read(archive, path)).toContain('has not come round to it yet')
  })

  test('ask the source, and show what came of it', async () => {
    await using archive = await testApp()
    const study = aStudy(1)
    await archive.send(study.files)
    const path = `/studies/${study.studyInstanceUID}`
    expect(await read(archive, path)).toContain('Ask the source')
    const asked = await post(archive, `${path}/actions/ask-source`, {})
    expect(toldAt(`${path}/actions/ask-source`, asked)).toBe(
      `${path} done=ask-source&verdict=unknown`,
    )
    const cookie = (asked.headers.get('set-cookie') ?? '').split(';')[0] as string
    const accept = 'text/html'
    const page = await (await archive.app.request(path, { headers: { accept, cookie } })).text()
    expect(page).toContain('The source was asked')
    // Nobody listens there.
    expect(page).toContain('No answer')
  })

  test('ask again, with what was typed, where something is wrong', async () => {
    await using archive = await testApp()
    const study = aStudy(1)
    await archive.send(study.files)
    const path = `/studies/${study.studyInstanceUID}/actions`
    for (const [action, form, words] of [
      ['declare', { count: '-1' }, 'whole number'],
      ['declare', { count: '1', uids: '1.2' }, 'not both'],
      ['declare', { uids: '1.2 1.02' }, 'Number 2 of the UIDs is no valid UID'],
      ['delete', { reason: ' ', confirm: study.studyInstanceUID }, 'Say why'],
      ['delete', { reason: 'Twice &c', confirm: '1' }, 'nothing was deleted'],
      [
        'delete',
        { reason: 'Twice &c', confirm: study.studyInstanceUID, instances: '0' },
        'There is 1 instance now, and there were 0',
      ],
    ] as const) {
      const answer = await post(archive, `${path}/${action}`, form)
      expect([action, answer.status]).toEqual([action, 400])
      const page = await answer.text()
      expect(page).toContain(words)
      if ('reason' in form && form.reason !== ' ') expect(page).toContain('Twice &amp;c')
    }
    expect((await archive.app.request(`${path}/settle`)).status).toBe(404)
  })

  test.each(['delete', 'commit', 'verify', 'declare', 'ask-source'])(
    '%s is refused to a page of another site',
    async (action) => {
      await using archive = await testApp()
      const study = aStudy(1)
      await archive.send(study.files)
      const { studyInstanceUID } = study
      const form = { reason: 'x', confirm: studyInstanceUID, count: '1' }
      const foreign = { 'sec-fetch-site': 'cross-site' }
      const path = `/studies/${studyInstanceUID}`
      expect((await post(archive, `${path}/actions/${action}`, form, foreign)).status).toBe(403)
      expect((await post(archive, `${path}/allow-resend`, {}, foreign)).status).toBe(403)
      expect((await archive.app.request(`/api${path}`)).status).toBe(200)
    },
  )
})

describe('a study that is gone', () => {
  test('is 410 with who, when and why for browsers, and as JSON for programs', async () => {
    await using archive = await testApp()
    const study = aStudy(2)
    await archive.send(study.files)
    const path = `/studies/${study.studyInstanceUID}`
    const form = { reason: 'Sent <twice>', confirm: study.studyInstanceUID.slice(-6) }
    const answer = await post(archive, `${path}/actions/delete`, form)
    expect(toldAt(`${path}/actions/delete`, answer)).toBe(`${path} done=delete&instances=2`)
    const page = await archive.app.request(path, { headers: { accept: 'text/html' } })
    expect(page.status).toBe(410)
    const text = await page.text()
    expect(text).toContain('Sent &lt;twice&gt;')
    expect(text).toContain('2 deleted instances are')
    const program = await archive.app.request(path)
    expect([program.status, program.headers.get('content-type')]).toEqual([
      410,
      'application/problem+json',
    ])
    const allowed = await post(archive, `${path}/allow-resend`, {})
    expect(toldAt(`${path}/allow-resend`, allowed)).toBe(`${path} done=allow-resend&instances=2`)
  })

  test('is told to its open page also when that comes back after its stream broke', async () => {
    await using archive = await testApp()
    const study = aStudy(1)
    await archive.send(study.files)
    const path = `/studies/${study.studyInstanceUID}`
    await archive.app.request(`/dicom-web${path}`, { method: 'DELETE' })
    const answer = await archive.app.request(`/live/study/${study.studyInstanceUID}`)
    expect(answer.status).toBe(200)
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    const { value } = await reader.read()
    await reader.cancel()
    expect(Buffer.from(value ?? []).toString()).toContain('This study was deleted meanwhile')
    expect((await archive.app.request(`/live/study/${uniqueUID()}`)).status).toBe(404)
  })

  test('or has not come yet, of which somebody spoke, is told with what is missing', async () => {
    await using archive = await testApp()
    const path = `/studies/${uniqueUID()}`
    const declared = await archive.app.request(`/api${path}/evidence`, {
      method: 'PUT',
      body: '{"sopInstanceUIDs":["1.2.3.1","1.2.3.2"]}',
    })
    expect(declared.status).toBe(200)
    const page = await read(archive, path)
    expect(page).toContain('Nothing of this study has come')
    expect(page).toContain('0 of 2 instances are here; 2 missing.')
    expect(await read(archive, `${path}/missing`)).toContain('2 missing by name.')
    expect((await archive.app.request(path)).status).toBe(404)
  })

  test('or was refused whole is told with its refusals, and no page leads to where nothing is', async () => {
    await using archive = await testApp({}, nothingHeld)
    const study = aStudy(1)
    const { studyInstanceUID, seriesInstanceUID, uids } = study
    // The same instance with other bytes in one request.
    const ids = { studyInstanceUID, seriesInstanceUID, sopInstanceUID: uids[0] as string }
    const again = dicomFile({ ...ids, patientName: 'Other' })
    const { transferID } = await archive.send([...study.files, again], { studyInstanceUID })
    const path = `studies/${study.studyInstanceUID}`
    const page = await archive.app.request(path, { headers: { accept: 'text/html' } })
    expect(page.status).toBe(404)
    const text = await page.text()
    expect(text).toContain('Nothing of this study is stored')
    expect(text).toContain(`href="transfers/${transferID}"`)
    expect(text).toContain(study.uids[0])
    expect(await read(archive, `transfers/${transferID}`)).toContain(`href="${path}"`)
    expect((await archive.app.request(path)).status).toBe(404)
    const aborted = await archive.intake.open({
      service: 'stow',
      handling: 'strict',
      studyInstanceUID: uniqueUID(),
    })
    aborted.beginPart()
    await aborted.abort('The connection went away')
    const unknown = await read(archive, `transfers/${aborted.transferID}`)
    expect(unknown).toContain('Sent to study')
    expect(unknown).not.toContain('href="studies/')
  })

  test('a transfer leads to the studies that it stored', async () => {
    await using archive = await testApp({}, nothingHeld)
    const [one, other] = [aStudy(2), aStudy(1)]
    const { transferID } = await archive.send([...one.files, ...other.files])
    const page = await read(archive, `transfers/${transferID}`)
    expect(page).toContain(`href="studies/${one.studyInstanceUID}"`)
    expect(page).toContain(`href="studies/${other.studyInstanceUID}"`)
  })

  test('what came and was refused, or was here and was deleted, is known of what is missing', async () => {
    await using archive = await testApp()
    const study = aStudy(3)
    const [kept, gone, other] = study.uids as [string, string, string]
    await archive.send(study.files.slice(0, 2))
    const path = `/studies/${study.studyInstanceUID}`
    await archive.app.request(`/api${path}/evidence`, {
      method: 'PUT',
      body: JSON.stringify({ sopInstanceUIDs: study.uids }),
    })
    const series = `series=${study.seriesInstanceUID}&instance=${gone}`
    const form = { reason: 'Twice', confirm: gone }
    await post(archive, `${path}/actions/delete?${series}`, form)
    await archive.send(study.files.slice(1, 2))
    const page = await read(archive, `${path}/missing`)
    expect(page).toContain('2 missing by name.')
    const rows = page.split('<tr>')
    const rowOf = (uid: string) => rows.find((row) => row.includes(uid)) ?? ''
    expect(rowOf(kept)).toBe('')
    expect(rowOf(gone)).toContain('Was here, and was deleted')
    expect(rowOf(gone)).toContain('C410')
    expect(rowOf(other)).toContain('Nothing of it has come')
  })

  test('was never here when nothing of it was deleted', async () => {
    await using archive = await testApp()
    const path = `/studies/${uniqueUID()}`
    const headers = { accept: 'text/html' }
    expect((await archive.app.request(path, { headers })).status).toBe(404)
    expect((await post(archive, `${path}/allow-resend`, {})).status).toBe(404)
  })
})

describe('the list of commitments', () => {
  test('pages by key, and each page begins where the one before ended', async () => {
    await using archive = await testApp()
    await archive.db.sql`
      insert into commitments (transaction_uid, form, instance_count, state, finished_at)
      select '2.25.' || n, 'flat', 1, 'finished', now() from generate_series(1, 120) n`
    const seen: string[] = []
    for (let path: string | undefined = '/commitments'; path !== undefined; ) {
      const page: string = await read(archive, path)
      seen.push(
        ...[...page.matchAll(/data-row="?[^>]*>(2\.25\.\d+)</g)].map(([, uid]) => uid ?? ''),
      )
      const link = /href="([^"]+)">Older</.exec(page)?.[1]
      path = link && placeOfLink(link.replaceAll('&amp;', '&'))
    }
    expect(seen).toEqual(Array.from({ length: 120 }, (_, index) => `2.25.${120 - index}`))
  })

  test.each([
    '/commitments/1.2.3',
    '/commitments/x',
    '/commitments?before=x',
    '/commitments?study=x',
  ])('GET %s is a problem that is said', async (path) => {
    await using archive = await testApp()
    const answer = await archive.app.request(path, { headers: { accept: 'text/html' } })
    expect(answer.status).toBe(path.includes('?') ? 400 : 404)
    expect(await answer.text()).toMatch(/Cannot|There is no/)
  })
})

type App = Pick<Awaited<ReturnType<typeof testApp>>, 'app'>

async function read({ app }: App, path: string): Promise<string> {
  return (await app.request(path, { headers: { accept: 'text/html' } })).text()
}

async function post(
  { app }: App,
  path: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Response> {
  const body = new URLSearchParams(form).toString()
  return app.request(path, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': String(body.length),
      accept: 'text/html',
      ...headers,
    },
  })
}
