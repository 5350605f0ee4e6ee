import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { StudiesPage, type StudyList } from '../../web/pages/studies-page.tsx'
import { StudyPage } from '../../web/pages/study-page.tsx'
import { TransferPage, type TransferWithFindings } from '../../web/pages/transfer-page.tsx'
import { UploadAnswerPage, type UploadReport, verdictOf } from '../../web/pages/upload-page.tsx'
import { htmlResponse, pageOfProblem, textOf } from '../../web/respond.tsx'
import { aStudy, aTransfer, readable } from './render.ts'

const studiesURL = 'https://pacs.example/dicom-web/studies'

function aList(changes: Partial<StudyList> = {}): StudyList {
  return {
    studies: [aStudy()],
    total: 1,
    isTotalBounded: false,
    hasNewer: false,
    hasOlder: false,
    ...changes,
  }
}

describe('the list of studies', () => {
  test('tells on first use where to send, with a line to copy and a link to upload', () => {
    const empty = aList({ studies: [], total: 0 })
    const page = (
      <StudiesPage studiesURL={studiesURL} list={empty} transfers={{ arriving: [], ended: [] }} />
    )
    expect(readable(page)).toContain(
      'curl -H &#39;Content-Type: application/dicom&#39; --data-binary @image.dcm https://pacs.example/dicom-web/studies',
    )
    expect(textOf(page)).toContain('<a href="/upload">upload files</a>')
    expect(readable(page)).toContain('Nothing is on its way')
  })

  test.each([
    ['The one study', {}],
    ['All 2', { studies: [aStudy(), aStudy()], total: 2 }],
    ['Newest 1 of 1,209', { total: 1209, hasOlder: true }],
    ['1 of 1,209', { total: 1209, hasNewer: true }],
    ['Newest 1 of more than 100,000', { total: 100_000, isTotalBounded: true, hasOlder: true }],
  ])('says how much of it is shown: "%s"', (caption, changes) => {
    const html = textOf(<StudiesPage studiesURL={studiesURL} list={aList(changes)} />)
    expect(html).toContain(`<caption>${caption}</caption>`)
  })

  test('pages by plain links', () => {
    const list = aList({ hasNewer: true, hasOlder: true })
    const html = textOf(<StudiesPage studiesURL={studiesURL} list={list} />)
    expect(html).toContain('<a href="/?after=2026-03-01T12%3A34%3A56.789000Z~1">Newer</a>')
    expect(html).toContain('<a href="/?before=2026-03-01T12%3A34%3A56.789000Z~1">Older</a>')
  })

  test('goes live on its first page only', () => {
    const transfers = { arriving: [aTransfer({ state: 'receiving' })], ended: [aTransfer()] }
    const first = <StudiesPage studiesURL={studiesURL} list={aList()} transfers={transfers} />
    expect(textOf(first)).toContain('hx-sse:connect="/live"')
    expect(textOf(<StudiesPage studiesURL={studiesURL} list={aList()} />)).not.toContain('hx-sse:')
  })

  test('says when more is arriving than it lists', () => {
    const arriving = Array.from({ length: 51 }, () => aTransfer({ state: 'receiving' }))
    const page = (
      <StudiesPage studiesURL={studiesURL} list={aList()} transfers={{ arriving, ended: [] }} />
    )
    expect(readable(page)).toContain('These are the newest 50; there are more.')
    expect(textOf(page).match(/data-state="receiving"/g)).toHaveLength(50)
  })
})

describe('every page', () => {
  const pages = [
    <StudiesPage
      studiesURL={studiesURL}
      list={aList()}
      transfers={{ arriving: [aTransfer({ state: 'receiving' })], ended: [aTransfer()] }}
    />,
    <StudyPage study={aStudy()} series={[]} />,
    <TransferPage transfer={aTransferWithFindings()} />,
    <UploadAnswerPage report={aReport()} />,
  ]

  test.each(pages.map((page) => [textOf(page)]))(
    'has no script or style of its own, and no handler, for the policy allows none',
    (html) => {
      expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|hx-on|javascript:|js:/)
      for (const [tag] of html.matchAll(/<script[^>]*>[^<]*/g))
        expect(tag).toMatch(/src="\/assets\/[^"]+"[^>]*>$/)
    },
  )

  test.each(pages.map((page) => [textOf(page)]))(
    'has one h1 and nothing undefined in it',
    (html) => {
      expect(html.match(/<h1/g)).toHaveLength(1)
      expect(html).not.toMatch(/undefined|null|\[object|NaN/)
    },
  )

  test('is kept by nobody on the way', () => {
    const { headers } = htmlResponse(<StudyPage study={aStudy()} series={[]} />)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
  })

  test('has no patient in its title, which the history of the browser keeps', () => {
    expect(textOf(<StudyPage study={aStudy()} series={[]} />)).toContain(
      '<title>Study · Stowage</title>',
    )
  })
})

test('the page of a transfer names each refused instance, the reason in words and as a code', () => {
  expect(readable(<TransferPage transfer={aTransferWithFindings()} />)).toContain(
    '1 refused instance Part Instance Reason Detail 3 1.2.3.4 Missing attribute (0120) no StudyInstanceUID',
  )
})

test('the page of a transfer looks again only while it is arriving', () => {
  const running = { ...aTransferWithFindings(), state: 'receiving' as const, endedAt: null }
  expect(textOf(<TransferPage transfer={running} />)).toContain('hx-trigger="every 2s"')
  expect(textOf(<TransferPage transfer={aTransferWithFindings()} />)).not.toContain('hx-trigger')
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
