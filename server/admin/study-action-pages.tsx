/** @jsxImportSource hono/jsx */
import { type Context, Hono } from 'hono'
import { allowResend, countRefusedAgain, listDeletions } from '../../db/deletions.ts'
import { listEvidence } from '../../db/evidence.ts'
import { findInstance, type Study } from '../../db/instances.ts'
import { findSeries } from '../../db/study-life.ts'
import { DeletedStudyPage } from '../../web/pages/deleted-study-page.tsx'
import { StudyActionPage } from '../../web/pages/study-action-page.tsx'
import { countOf } from '../../web/parts/quantity.tsx'
import { paths } from '../../web/paths.ts'
import { htmlResponse } from '../../web/respond.tsx'
import { studyActionViews } from '../../web/study-actions/all.tsx'
import { type ActionTarget, type AskProblem, numberIn } from '../../web/study-actions/view.tsx'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { callerOf } from '../http/identity.ts'
import { HttpProblem } from '../http/problem.ts'
import { readStudy } from './api.ts'
import type { PageDeps } from './deps.ts'
import { leadToDone, onceSaid, readDone } from './done.ts'
import { studyActions } from './study-actions/all.ts'
import { readForm } from './study-pages.tsx'

const deletionsOnPage = 50
/** What a form says wrong, or what is in the way: the page asks again, with what was typed. */
const askedAgain = [400, 409]

/** What can be done with a study, and what is left of one that was deleted. */
export function studyActionPages(deps: PageDeps): Hono<AppEnv> {
  const { db } = deps

  async function ask(c: Context<AppEnv>, study: Study, form: URLSearchParams, wrong?: HttpProblem) {
    const view = viewOf(c)
    if (view?.ask === undefined) throw wrong ?? new HttpProblem(404, 'There is no such page')
    const [target, shell, statements] = await Promise.all([
      readTarget(c, study),
      deps.shell.read(c),
      listEvidence(db, study.studyInstanceUID, 100),
    ])
    const declared = statements.find(
      ({ source, seriesInstanceUID }) => source === 'declared' && seriesInstanceUID === null,
    )
    const problem: AskProblem | undefined = wrong && {
      detail: wrong.message,
      field: wrong.members.field as string | undefined,
    }
    const page = (
      <StudyActionPage
        shell={shell}
        action={{ ask: view.ask }}
        ask={{ study, target, form, declared, problem }}
      />
    )
    return htmlResponse(page, wrong?.status ?? 200)
  }

  async function readTarget(c: Context<AppEnv>, study: Study): Promise<ActionTarget> {
    const { series: seriesInstanceUID, instance: sopInstanceUID } = c.req.query()
    if (seriesInstanceUID === undefined) return { level: 'study', ...study }
    const series = isUID(seriesInstanceUID)
      ? await findSeries(db, study.studyKey, seriesInstanceUID)
      : undefined
    if (series === undefined) throw new HttpProblem(404, 'There is no such series')
    if (sopInstanceUID === undefined) return { level: 'series', ...series }
    const { studyInstanceUID } = study
    const one = isUID(sopInstanceUID)
      ? await findInstance(db, { studyInstanceUID, seriesInstanceUID, sopInstanceUID })
      : undefined
    if (one === undefined) throw new HttpProblem(404, 'There is no such instance')
    return {
      level: 'instance',
      seriesInstanceUID,
      sopInstanceUID,
      instanceCount: 1,
      byteLength: one.byteLength,
      committedInstanceCount: one.committedAt === null ? 0 : 1,
    }
  }

  return new Hono<AppEnv>()
    .get('/studies/:study/actions/:action', async (c) =>
      ask(c, await readStudy(db, c.req.param('study')), new URLSearchParams()),
    )
    .post('/studies/:study/actions/:action', async (c) => {
      const study = await readStudy(db, c.req.param('study'))
      const action = studyActions.find(({ name }) => name === c.req.param('action'))
      if (action === undefined) throw new HttpProblem(404, 'There is no such action')
      const form = await readForm(c, action.formBytes)
      const target = await readTarget(c, study)
      const request = { study, target, form, sender: callerOf(c), signal: c.req.raw.signal }
      try {
        const said = await action.run(request, deps)
        deps.changed()
        return leadToDone(c, paths.study(study.studyInstanceUID), { done: action.name, ...said })
      } catch (error) {
        if (!(error instanceof HttpProblem) || !askedAgain.includes(error.status)) throw error
        return ask(c, study, form, error)
      }
    })
    .post('/studies/:study/allow-resend', async (c) => {
      const studyInstanceUID = c.req.param('study')
      const { found, lifted } = await allowResend(db, { studyInstanceUID })
      if (found === 0) throw new HttpProblem(404, 'Nothing of this was deleted')
      deps.changed()
      return leadToDone(c, paths.study(studyInstanceUID), {
        done: 'allow-resend',
        instances: lifted,
      })
    })
}

function viewOf(c: Context<AppEnv>) {
  return studyActionViews.find(({ name }) => name === c.req.param('action'))
}

/** What was done to a study just now, in a sentence. */
export function doneOf(c: Context<AppEnv>, studyInstanceUID: string): string | undefined {
  const said = readDone(c, paths.study(studyInstanceUID))
  if (said === undefined) return undefined
  if (said.get('done') === 'allow-resend') {
    return `${countOf(numberIn(said, 'instances'), 'deleted instance')} may come again.`
  }
  return studyActionViews.find(({ name }) => name === said.get('done'))?.done(said)
}

/** The page of a study that is gone; undefined: it never was here. */
export async function deletedStudyPage(
  c: Context<AppEnv>,
  deps: PageDeps,
  studyInstanceUID: string,
): Promise<Response | undefined> {
  const [deletions, refusedCount, shell] = await Promise.all([
    listDeletions(deps.db, { studyInstanceUID, limit: deletionsOnPage }),
    countRefusedAgain(deps.db, studyInstanceUID),
    deps.shell.read(c),
  ])
  if (deletions.length === 0) return undefined
  const done = doneOf(c, studyInstanceUID)
  const page = (
    <DeletedStudyPage
      shell={shell}
      studyInstanceUID={studyInstanceUID}
      deletions={deletions}
      refusedCount={refusedCount}
      done={done}
    />
  )
  return onceSaid(htmlResponse(page, 410), done)
}
