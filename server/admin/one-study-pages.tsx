/** @jsxImportSource hono/jsx */
import { Buffer } from 'node:buffer'
import { type Context, Hono } from 'hono'
import { findInstance } from '../../db/instances.ts'
import { findSeries, listInstances, listStudyFindings } from '../../db/study-life.ts'
import { countMissingInstances, listMissingInstances } from '../../db/study-safety.ts'
import { ExpectedStudyPage } from '../../web/pages/expected-study-page.tsx'
import { InstancePage } from '../../web/pages/instance-page.tsx'
import { MissingPage } from '../../web/pages/missing-page.tsx'
import { SeriesPage } from '../../web/pages/series-page.tsx'
import { goneRegions, StudyPage, studyViewRegions } from '../../web/pages/study-page.tsx'
import { missingCounted } from '../../web/parts/evidence.tsx'
import { paths } from '../../web/paths.ts'
import { htmlResponse, wantsPage } from '../../web/respond.tsx'
import type { DicomJson } from '../dicom/json-to-xml.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { streamOf } from '../http/stream.ts'
import { describeError } from '../log.ts'
import { readStudy } from './api.ts'
import { attributeLines } from './attribute-lines.ts'
import type { PageDeps } from './deps.ts'
import { onceSaid } from './done.ts'
import { deletedStudyPage, doneOf } from './study-action-pages.tsx'
import { readExpected, readStudyView } from './study-view.ts'
import { studyZip } from './study-zip.ts'

/** As many of each as a page lists. */
const listed = { instances: 100, missing: 100, refusals: 100 }

/** One study, its series and instances, and what is missing. */
export function oneStudyPages(deps: PageDeps): Hono<AppEnv> {
  const { db, store } = deps

  async function readSeriesOf(study: string, series: string) {
    const found = await readStudy(db, study)
    const one = isUID(series) ? await findSeries(db, found.studyKey, series) : undefined
    if (one === undefined) throw new HttpProblem(404, 'There is no such series')
    return one
  }

  /** Of a study that is here, or was, or of which somebody spoke. */
  async function readCounts(studyInstanceUID: string) {
    try {
      return await readStudy(db, studyInstanceUID)
    } catch (error) {
      const expected = await readExpected(db, studyInstanceUID)
      if (expected === undefined) throw error
      return expected
    }
  }

  /** Undefined: nothing is known of it. */
  async function expectedStudyPage(c: Context<AppEnv>, studyInstanceUID: string) {
    if (!isUID(studyInstanceUID)) return undefined
    const [expected, { refusals }, shell] = await Promise.all([
      readExpected(db, studyInstanceUID),
      listStudyFindings(db, studyInstanceUID, listed.refusals + 1),
      deps.shell.read(c),
    ])
    if (expected === undefined && refusals.length === 0) return undefined
    const view = {
      studyInstanceUID,
      expected,
      refusals: refusals.slice(0, listed.refusals),
      hasMoreRefusals: refusals.length > listed.refusals,
    }
    const page = <ExpectedStudyPage shell={shell} view={view} />
    return htmlResponse(page, expected === undefined ? 404 : 200)
  }

  return new Hono<AppEnv>()
    .get('/studies/:study', async (c) => {
      const studyInstanceUID = c.req.param('study')
      try {
        const [view, shell] = await Promise.all([
          readStudyView(deps, studyInstanceUID, c.get('may')),
          deps.shell.read(c),
        ])
        const done = doneOf(c, studyInstanceUID)
        const page = <StudyPage shell={shell} view={view} done={done} />
        return onceSaid(htmlResponse(page), done)
      } catch (error) {
        if (!(error instanceof HttpProblem) || !wantsPage(c.req.raw)) throw error
        const page =
          error.status === 410
            ? await deletedStudyPage(c, deps, studyInstanceUID)
            : await expectedStudyPage(c, studyInstanceUID)
        if (page === undefined) throw error
        return page
      }
    })
    .get('/studies/:study/missing', async (c) => {
      const studyInstanceUID = c.req.param('study')
      const { instanceCount, expectedInstanceCount } = await readCounts(studyInstanceUID)
      const after = c.req.query('after') ?? ''
      const page = { after, limit: listed.missing + 1 }
      const [found, missingCount, shell] = await Promise.all([
        listMissingInstances(db, studyInstanceUID, page),
        countMissingInstances(db, studyInstanceUID, missingCounted),
        deps.shell.read(c),
      ])
      return htmlResponse(
        <MissingPage
          shell={shell}
          studyInstanceUID={studyInstanceUID}
          missing={found.slice(0, listed.missing)}
          missingCount={missingCount}
          fewer={Math.max(0, (expectedInstanceCount ?? 0) - instanceCount)}
          hasMore={found.length > listed.missing}
          isFirst={after === ''}
        />,
      )
    })
    .get(paths.live('study/:study'), (c) => {
      const studyInstanceUID = c.req.param('study') as string
      return deps.stream(c, 'studies', `study ${studyInstanceUID}`, async () => {
        try {
          return studyViewRegions(await readStudyView(deps, studyInstanceUID, c.get('may')))
        } catch (error) {
          if (error instanceof HttpProblem && error.status === 410) {
            return goneRegions(studyInstanceUID)
          }
          throw error
        }
      })
    })
    .get('/studies/:study/files.zip', async (c) => {
      const { studyInstanceUID } = await readStudy(db, c.req.param('study'))
      const failed = (error: unknown) =>
        deps.log.error('an answer was broken off', {
          request: c.get('requestID'),
          path: c.req.routePath,
          error: describeError(error),
        })
      return new Response(streamOf(studyZip(studyInstanceUID, { db, store }), failed), {
        headers: {
          'content-type': 'application/zip',
          'content-disposition': `attachment; filename="${studyInstanceUID}.zip"`,
          'cache-control': 'no-store',
        },
      })
    })
    .get('/studies/:study/series/:series', async (c) => {
      const { study, series } = c.req.param()
      const one = await readSeriesOf(study, series)
      const after = c.req.query('after')
      const [found, shell] = await Promise.all([
        listInstances(db, one.seriesKey, { after, limit: listed.instances + 1 }),
        deps.shell.read(c),
      ])
      return htmlResponse(
        <SeriesPage
          shell={shell}
          studyInstanceUID={study}
          series={one}
          instances={found.slice(0, listed.instances)}
          hasMore={found.length > listed.instances}
          isFirst={after === undefined}
        />,
      )
    })
    .get('/studies/:study/series/:series/instances/:instance', async (c) => {
      const { study, series, instance } = c.req.param()
      await readSeriesOf(study, series)
      const path = { studyInstanceUID: study, seriesInstanceUID: series, sopInstanceUID: instance }
      const one = isUID(instance) ? await findInstance(db, path) : undefined
      if (one === undefined) throw new HttpProblem(404, 'There is no such instance')
      const chunks: Uint8Array[] = []
      const offset = one.segmentOffset + one.byteLength
      for await (const chunk of store.read(one.segmentID, offset, one.metadataLength)) {
        chunks.push(chunk)
      }
      const model = JSON.parse(Buffer.concat(chunks).toString()) as DicomJson
      const digest = Buffer.from(one.digest).toString('hex')
      const shell = await deps.shell.read(c)
      return htmlResponse(
        <InstancePage shell={shell} instance={{ ...one, digest }} {...attributeLines(model)} />,
      )
    })
}
