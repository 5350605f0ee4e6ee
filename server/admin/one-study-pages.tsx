/** @jsxImportSource hono/jsx */
import { Buffer } from 'node:buffer'
import { Hono } from 'hono'
import { instancesOf } from '../../db/instances.ts'
import { listSeries } from '../../db/listing.ts'
import {
  countTransferSyntaxes,
  findSeries,
  listArrivals,
  listInstances,
  listStudyChanges,
  listStudyFindings,
} from '../../db/study-life.ts'
import { readListedStudies, studiesUnderWay } from '../../db/study-list.ts'
import { InstancePage } from '../../web/pages/instance-page.tsx'
import { SeriesPage } from '../../web/pages/series-page.tsx'
import { StudyPage, type StudyView, studyViewRegions } from '../../web/pages/study-page.tsx'
import { paths } from '../../web/paths.ts'
import { htmlResponse } from '../../web/respond.tsx'
import { studyActionViews } from '../../web/study-actions/all.tsx'
import type { DicomJson } from '../dicom/json-to-xml.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { insistOnOwnPage } from '../http/same-origin.ts'
import { streamOf } from '../http/stream.ts'
import { describeError } from '../log.ts'
import { readStudy } from './api.ts'
import { attributeLines } from './attribute-lines.ts'
import type { PageDeps } from './deps.ts'
import { studyActions } from './study-actions/all.ts'
import { readForm } from './study-pages.tsx'
import { studyZip } from './study-zip.ts'

/** As many of each as a page lists. */
const listed = { series: 500, changes: 200, arrivals: 200, findings: 100, instances: 100 }

/** One study, its series and instances, and what can be done with it. */
export function oneStudyPages(deps: PageDeps): Hono<AppEnv> {
  const { db, store, intake } = deps

  async function readView(studyInstanceUID: string): Promise<StudyView> {
    const { studyKey } = await readStudy(db, studyInstanceUID)
    const underWay = await studiesUnderWay(db, intake.untoldStudies)
    const [[study], series, changes, arrivals, syntaxes, findings] = await Promise.all([
      readListedStudies(db, [studyKey], underWay),
      listSeries(db, { studyKey }, listed.series),
      listStudyChanges(db, studyInstanceUID, listed.changes),
      listArrivals(db, studyKey, listed.arrivals),
      countTransferSyntaxes(db, studyKey),
      listStudyFindings(db, studyInstanceUID, listed.findings),
    ])
    if (study === undefined) throw new HttpProblem(404, 'There is no such study')
    const viewerURL = deps.viewerURL?.replaceAll('{StudyInstanceUID}', studyInstanceUID)
    return { study, series, changes, arrivals, syntaxes, viewerURL, ...findings }
  }

  async function readSeriesOf(study: string, series: string) {
    const found = await readStudy(db, study)
    const one = isUID(series) ? await findSeries(db, found.studyKey, series) : undefined
    if (one === undefined) throw new HttpProblem(404, 'There is no such series')
    return one
  }

  return new Hono<AppEnv>()
    .get('/studies/:study', async (c) => {
      const [view, shell] = await Promise.all([
        readView(c.req.param('study')),
        deps.shell.read(c.req.raw),
      ])
      const done = studyActionViews.find(({ name }) => name === c.req.query('done'))?.done
      return htmlResponse(<StudyPage shell={shell} view={view} done={done} />)
    })
    .get(paths.live('study/:study'), async (c) => {
      const studyInstanceUID = c.req.param('study') as string
      await readStudy(db, studyInstanceUID)
      return deps.stream(c, 'studies', `study ${studyInstanceUID}`, async () =>
        studyViewRegions(await readView(studyInstanceUID)),
      )
    })
    .post('/studies/:study/actions/:action', async (c) => {
      insistOnOwnPage(c)
      const study = await readStudy(db, c.req.param('study'))
      const action = studyActions.find(({ name }) => name === c.req.param('action'))
      if (action === undefined) throw new HttpProblem(404, 'There is no such action')
      await action.run(study, await readForm(c), deps)
      deps.changed()
      return c.redirect(`${paths.study(study.studyInstanceUID)}?done=${action.name}`, 303)
    })
    .get('/studies/:study/files.zip', async (c) => {
      const { studyInstanceUID } = await readStudy(db, c.req.param('study'))
      const failed = (error: unknown) =>
        deps.log.error('an answer was broken off', {
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
        deps.shell.read(c.req.raw),
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
      const { value: one } = await instancesOf(db, path).next()
      if (!isUID(instance) || !one) throw new HttpProblem(404, 'There is no such instance')
      const chunks: Uint8Array[] = []
      const offset = one.segmentOffset + one.byteLength
      for await (const chunk of store.read(one.segmentID, offset, one.metadataLength)) {
        chunks.push(chunk)
      }
      const model = JSON.parse(Buffer.concat(chunks).toString()) as DicomJson
      const digest = Buffer.from(one.digest).toString('hex')
      const shell = await deps.shell.read(c.req.raw)
      return htmlResponse(
        <InstancePage shell={shell} instance={{ ...one, digest }} {...attributeLines(model)} />,
      )
    })
}
