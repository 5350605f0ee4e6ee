import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Change } from '../../db/changes.ts'
import { searchOfForm, searchOfQuery } from '../../server/admin/study-search.ts'
import { ProblemsPage } from '../../web/pages/problems-page.tsx'
import { StudiesPage, type StudyList } from '../../web/pages/studies-page.tsx'
import { StudyPage, type StudyView } from '../../web/pages/study-page.tsx'
import type { SearchFields } from '../../web/pages/study-search.tsx'
import { TransferPage, type TransferWithFindings } from '../../web/pages/transfer-page.tsx'
import { TransfersPage } from '../../web/pages/transfers-page.tsx'
import {
  UploadAnswerPage,
  UploadPage,
  type UploadReport,
  verdictOf,
} from '../../web/pages/upload-page.tsx'
import type { EvidenceView } from '../../web/parts/evidence.tsx'
import { StudyBand, stretchesOf } from '../../web/parts/study-band.tsx'
import { htmlResponse, pageOfProblem, textOf } from '../../web/respond.tsx'
import { aStudy, aTransfer, readable } from './render.ts'

const studiesURL = 'https://pacs.example/dicom-web/studies'
const counts = { receiving: 1, arriving: 0, settling: 2, reopened: 0, problems: 3000 }

function fieldsOf(body: string): SearchFields {
  return searchOfForm(new URLSearchParams(body)).fields
}

function aList(changes: Partial<StudyList> = {}): StudyList {
  return {
    studies: [aStudy()],
    total: 1,
    isTotalBounded: false,
    order: 'received',
    isFiltered: false,
    ...changes,
  }
}

function aListPage(changes: Partial<StudyList> = {}, body = '', live?: string) {
  const list = aList(changes)
  return (
    <StudiesPage
      studiesURL={studiesURL}
      list={list}
      fields={fieldsOf(body)}
      counts={counts}
      live={live}
    />
  )
}

function aView(changes: Partial<StudyView> = {}): StudyView {
  const study = aStudy()
  return {
    study,
    series: [],
    changes: [],
    arrivals: [],
    syntaxes: [],
    refusals: [],
    warnings: [],
    evidence: anEvidence(),
    commitments: [],
    hasMoreCommitments: false,
    integrity: {
      verifiedCount: 0,
      firstVerifiedAt: null,
      lastVerifiedAt: null,
      segmentCount: 1,
    },
    damaged: [],
    deletions: [],
    refusedAgainCount: 0,
    means: { isPeerConfigured: false },
    ...changes,
  }
}

function anEvidence(changes: Partial<EvidenceView> = {}): EvidenceView {
  return {
    studyInstanceUID: '1.2.840.1',
    verdict: 'unknown',
    instanceCount: 43,
    expectedInstanceCount: null,
    evidence: [],
    isCut: false,
    series: [],
    missing: [],
    missingCount: 0,
    ...changes,
  }
}

describe('the list of studies', () => {
  test('tells on first use where to send, with a line to copy and a link to upload', () => {
    const page = aListPage({ studies: [], total: 0 })
    expect(readable(page)).toContain(
      'curl -H &#39;Content-Type: application/dicom&#39; --data-binary @image.dcm https://pacs.example/dicom-web/studies',
    )
    expect(textOf(page)).toContain('<a href="upload">upload files</a>')
  })

  test('says that nothing matches, and how to begin anew', () => {
    const page = aListPage({ studies: [], total: 0, isFiltered: true })
    expect(readable(page)).toContain('No study matches. Clear the search')
    expect(textOf(page)).not.toContain('curl')
  })

  test.each([
    ['The one study', {}],
    ['All 2', { studies: [aStudy(), aStudy()], total: 2 }],
    ['Newest 1 of 1,209', { total: 1209, older: 'before=x' }],
    ['1 of 1,209', { total: 1209, newer: 'after=x' }],
    ['Newest 1 of more than 100,000', { total: 100_000, isTotalBounded: true, older: 'before=x' }],
    ['First 1 of 9', { total: 9, older: 'skip=50', order: 'patient' as const }],
  ])('says how much of it is shown: "%s"', (caption, changes) => {
    expect(textOf(aListPage(changes))).toContain(`<caption>${caption}</caption>`)
  })

  test('pages by plain links, with the filters in them', () => {
    const html = textOf(aListPage({ newer: 'after=A', older: 'before=B' }, 'state=stable'))
    expect(html).toContain('<a href="./?state=stable&amp;after=A">Newer</a>')
    expect(html).toContain('<a href="./?state=stable&amp;before=B">Older</a>')
  })

  test('pages and sorts by buttons of the form while text is searched, which no address may hold', () => {
    const html = textOf(aListPage({ older: 'before=B' }, 'PatientName=doe'))
    expect(html).toContain('name="place" value="before=B"')
    expect([...html.matchAll(/(?:href|action)="([^"]*)"/g)].join()).not.toContain('doe')
  })

  test('shows the same search as a QIDO-RS request, and what that cannot say', () => {
    const text = readable(aListPage({}, 'PatientName=doe&from=2026-01-01&state=stable'))
    expect(text).toContain(`${studiesURL}?PatientName=doe*&amp;StudyDate=20260101-`)
    expect(text).toContain('Not in it, for QIDO has no key for it: state')
  })

  test('goes live where it has a stream', () => {
    expect(textOf(aListPage({}, '', 'live/studies'))).toContain('hx-sse:connect="live/studies"')
    expect(textOf(aListPage())).not.toContain('hx-sse:connect')
  })
})

describe('the page of a study', () => {
  const at = (seconds: number) => new Date(Date.UTC(2026, 2, 1, 12, 0, seconds))

  test('tells its life, the newest first, with what will happen on top', () => {
    const study = aStudy({ state: 'settling', settlesAt: at(90), dueAt: at(90) })
    const arrivals = [{ at: at(5), until: at(19), instanceCount: 120, transferID: null }]
    const text = readable(<StudyPage view={aView({ study, arrivals })} />)
    expect(text).toMatch(
      /Becomes stable at 12:01:30 unless more arrives.*120 instances stored in 14 s/,
    )
  })

  test('offers what can be done with it, and nothing else', () => {
    const stable = textOf(<StudyPage view={aView()} />)
    expect(stable).toContain('action="studies/1.2.840.1/actions/reopen"')
    expect(stable).not.toContain('actions/settle')
    expect(stable).not.toContain('Open in viewer')
    const viewerURL = 'https://viewer.example/?study=1.2.840.1'
    expect(textOf(<StudyPage view={aView({ viewerURL })} />)).toContain(`href="${viewerURL}"`)
  })

  test('draws its band to scale, and says it in words', () => {
    const changes = [aChange('stable', at(60)), aChange('reopened', at(120))]
    const study = aStudy({ state: 'reopened', settlesAt: at(180), firstReceivedAt: at(0) })
    expect(
      stretchesOf(study, changes).map(({ word, from, to }) => [word, (to - from) / 1000]),
    ).toEqual([
      ['Settling', 60],
      ['Stable', 60],
      ['Reopened', 60],
    ])
  })

  test.each([
    [{ state: 'stable', settlesAt: null }, 'Settling 1 min 0 s Stable since 2026-03-01 12:01:00'],
    [
      { state: 'reopened', settlesAt: at(180) },
      'Stable 1 min 0 s Reopened since 2026-03-01 12:02:00',
    ],
    [{ state: 'receiving', settlesAt: null }, 'Receiving since 2026-03-01 12:00:00'],
  ] as const)('invents no duration for what goes on, %j', (changes, words) => {
    const turns = { stable: [at(60)], reopened: [at(60), at(120)], receiving: [] }[changes.state]
    const told = turns.map((when, index) => aChange(index === 0 ? 'stable' : 'reopened', when))
    const study = aStudy({ ...changes, firstReceivedAt: at(0) })
    const band = <StudyBand study={study} changes={told} arrivals={[]} />
    expect(readable(band)).toContain(words)
    expect(textOf(band)).toMatch(/aria-label="[^"]*since [^"]*"/)
  })

  test('leaves the study date to its facts', () => {
    expect(readable(<StudyPage view={aView()} />)).toContain(
      'All instances (multipart/related, WADO-RS) Metadata',
    )
  })

  function aChange(type: 'stable' | 'reopened', when: Date): Change {
    const none = { seriesInstanceUID: null, sopInstanceUID: null, patientID: null }
    const rest = { issuerOfPatientID: null, transferID: null, details: null }
    return { seq: 1, type, level: 'study', studyInstanceUID: '1.2', ...none, ...rest, at: when }
  }
})

test('a name in a search goes on where it ends without a wildcard, and a wrong date is said', () => {
  expect(fieldsOf('PatientName=doe').qido).toBe('PatientName=doe*')
  expect(fieldsOf('PatientName=d?e').qido).toBe('PatientName=d%3Fe')
  expect(searchOfForm(new URLSearchParams('StudyInstanceUID=x')).problem).toContain(
    'StudyInstanceUID',
  )
})

test('text in an address is not searched for: it would stand in logs and histories', () => {
  expect(searchOfQuery(new URLSearchParams('PatientName=doe&state=stable')).fields.values).toEqual({
    state: 'stable',
  })
})

describe('every page', () => {
  const pages = [
    aListPage(),
    aListPage({ studies: [], isFiltered: true }, 'PatientName=doe&sort=patient'),
    <TransfersPage
      pageSize={50}
      list={{
        arriving: [aTransfer({ state: 'receiving' })],
        ended: [aTransfer()],
        now: new Date(),
        skip: 0,
        hasMore: true,
      }}
    />,
    <StudyPage view={aView()} />,
    <UploadPage handling="strict" />,
    <ProblemsPage groups={[]} />,
    <TransferPage transfer={aTransferWithFindings()} />,
    <UploadAnswerPage report={aReport()} />,
  ]

  test.each(pages.map((page) => [textOf(page)]))(
    'has no script or style of its own, and no handler, for the policy allows none',
    (html) => {
      expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|hx-on|javascript:|js:/)
      for (const [tag] of html.matchAll(/<script[^>]*>[^<]*/g))
        expect(tag).toMatch(/src="assets\/[^"]+"[^>]*>$/)
    },
  )

  test.each(pages.map((page) => [textOf(page)]))(
    'has one h1 and nothing undefined in it',
    (html) => {
      expect(html.match(/<h1/g)).toHaveLength(1)
      expect(html.replace(/<option.*?<\/option>/g, '')).not.toMatch(/undefined|null|\[object|NaN/)
    },
  )

  test('is kept by nobody on the way', () => {
    const { headers } = htmlResponse(<StudyPage view={aView()} />)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
  })

  test('has no patient in its title, which the history of the browser keeps', () => {
    expect(textOf(<StudyPage view={aView()} />)).toContain('<title>Study · Stowage</title>')
  })
})

test('the page of a transfer names each refused instance, the reason in words and as a code', () => {
  expect(readable(<TransferPage transfer={aTransferWithFindings()} />)).toContain(
    '1 refused instance Part Instance Reason Detail 3 1.2.3.4 Missing attribute (0120) no StudyInstanceUID',
  )
})

test('the page of a transfer says with whose credentials it came, if with any', () => {
  const transfer = aTransferWithFindings()
  const named = <TransferPage transfer={{ ...transfer, sentBy: 'token:ct-2' }} />
  expect(readable(named)).toContain('Sent by token:ct-2')
  expect(readable(<TransferPage transfer={transfer} />)).not.toContain('Sent by')
})

test('the page of a transfer is live only while it is arriving', () => {
  const running = { ...aTransferWithFindings(), state: 'receiving' as const, endedAt: null }
  expect(textOf(<TransferPage transfer={running} />)).toContain('hx-sse:connect')
  expect(textOf(<TransferPage transfer={aTransferWithFindings()} />)).not.toContain(
    'hx-sse:connect',
  )
})

describe('the answer to an upload', () => {
  test.each([
    ['All 12 instances are stored.', {}],
    ['The one instance is stored.', { storedCount: 1 }],
    ['The one instance is stored; it was here already.', { storedCount: 1, duplicateCount: 1 }],
    ['All 12 instances are stored; 3 of them were here already.', { duplicateCount: 3 }],
    ['All 12 instances are stored; all of them were here already.', { duplicateCount: 12 }],
    [
      '10 of 12 instances are stored; 2 instances were refused.',
      { storedCount: 10, refusals: refusals(2) },
    ],
    [
      'Nothing of this upload was stored: 1 instance was refused.',
      { state: 'refused' as const, storedCount: 0, refusals: refusals(1), rolledBackCount: 11 },
    ],
  ])('says in one sentence what happened: "%s"', (sentence, changes) => {
    expect(verdictOf(aReport(changes))).toBe(sentence)
  })

  test('shows the sender the name of his own file, escaped', () => {
    const html = textOf(<UploadAnswerPage report={aReport({ refusals: refusals(1) })} />)
    expect(html).toContain('&lt;b&gt;doe.dcm')
    expect(html).not.toContain('<b>')
  })

  test('counts what was skipped, and what nothing was found wrong with', () => {
    const report = aReport({
      state: 'refused',
      refusals: refusals(1),
      rolledBackCount: 11,
      skippedCount: 2,
    })
    expect(readable(<UploadAnswerPage report={report} />)).toContain('2 files were skipped')
    expect(readable(<UploadAnswerPage report={report} />)).toContain(
      'wrong with the other 11 instances',
    )
  })

  test('lists no more than 200 of each, and says so', () => {
    const studies = Array.from({ length: 201 }, (_, index) => `1.2.${index + 1}`)
    const text = readable(
      <UploadAnswerPage report={aReport({ refusals: refusals(201), studies })} />,
    )
    expect(text).toContain('First 200 of 201 refused instances')
    expect(text).toContain('And 1 more.')
  })
})

describe('a problem', () => {
  const problem = () =>
    new Response(JSON.stringify({ title: 'Bad Request', status: 400, detail: 'It is <bad>' }), {
      status: 400,
      headers: { 'content-type': 'application/problem+json' },
    })

  test('is a page for a browser', async () => {
    const request = new Request('http://x/', { headers: { accept: 'text/html,*/*;q=0.8' } })
    const page = await pageOfProblem(request, problem())
    expect(page.status).toBe(400)
    expect(await page.text()).toContain('It is &lt;bad&gt;')
  })

  test('stays JSON for all others', async () => {
    const response = problem()
    expect(await pageOfProblem(new Request('http://x/'), response)).toBe(response)
  })
})

test.each([
  ['htmx.min.js', 'htmx.min.js'],
  ['hx-sse.js', 'ext/hx-sse.js'],
])('%s is what its package holds, byte for byte', (name, source) => {
  const vendored = readFileSync(`web/assets/vendor/${name}`)
  expect(vendored.equals(readFileSync(`node_modules/htmx.org/dist/${source}`))).toBe(true)
})

function refusals(count: number) {
  return Array.from({ length: count }, (_, position) => ({
    position,
    reason: 0xc000,
    detail: 'Cannot read instance',
    fileName: '<b>doe.dcm',
  }))
}

function aReport(changes: Partial<UploadReport> = {}): UploadReport {
  return {
    transferID: '6b3ee2f2-5b6c-4a7a-9a2f-0d6f7a3b1c11',
    state: 'committed',
    handling: 'strict',
    storedCount: 12,
    duplicateCount: 0,
    refusals: [],
    rolledBackCount: 0,
    warnings: [],
    skippedCount: 0,
    studies: ['1.2.3'],
    ...changes,
  }
}

function aTransferWithFindings(): TransferWithFindings {
  const transfer = aTransfer({ state: 'refused', reason: '1 instance was refused', storedCount: 0 })
  const { transferID } = transfer
  return {
    ...transfer,
    refusals: [
      {
        refusalKey: 1,
        transferID,
        position: 2,
        failureReason: 0x0120,
        detail: 'no StudyInstanceUID',
        studyInstanceUID: null,
        sopClassUID: null,
        sopInstanceUID: '1.2.3.4',
        refusedAt: new Date('2026-03-01T12:00:42Z'),
      },
    ],
    warnings: [],
  }
}
