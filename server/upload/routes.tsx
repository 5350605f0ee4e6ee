/** @jsxImportSource hono/jsx */
import { type Context, Hono } from 'hono'
import type { Shell } from '../../web/layout.tsx'
import { UploadAnswerPage, UploadPage, type UploadReport } from '../../web/pages/upload-page.tsx'
import { htmlResponse, pageOfProblem, wantsPage } from '../../web/respond.tsx'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { endEarly } from '../intake/end-early.ts'
import type { TransferOutcome } from '../intake/outcome.ts'
import { negotiate, parseAccept } from '../multipart/accept.ts'
import { type ReceiveDeps, receiveForm } from './receive-form.ts'
import { reportOf, statusOf } from './report.ts'

export interface UploadDeps extends ReceiveDeps {
  /** What stands around the page. */
  shell: { read(c: Context<AppEnv>): Promise<Shell> }
}

/** The form of the page: another door to the same intake, for people with files. */
export function uploadRoutes(deps: UploadDeps): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .use('/upload', async (c, next) => {
      await next()
      c.res = await pageOfProblem(c.req.raw, c.res, () => deps.shell.read(c))
    })
    .get('/upload', async (c) => {
      const shell = await deps.shell.read(c)
      return htmlResponse(<UploadPage shell={shell} handling={deps.handling} />)
    })
    .post('/upload', async (c) => {
      try {
        return await upload(c, deps)
      } catch (error) {
        // What is wrong with a field is said where it is; programs get it as JSON.
        if (!(error instanceof HttpProblem && 'field' in error.members) || !wantsPage(c.req.raw)) {
          throw error
        }
        const shell = await deps.shell.read(c)
        const page = <UploadPage shell={shell} handling={deps.handling} problem={error.message} />
        return htmlResponse(page, error.status)
      }
    })
}

async function upload(c: Context<AppEnv>, deps: UploadDeps): Promise<Response> {
  const received = await receiveForm(
    c.req.raw,
    {
      sender: c.env?.address,
      sentBy: c.get('identity')?.name,
      span: c.get('span'),
      opened: (transferID) => c.set('transferID', transferID),
    },
    deps,
  )
  let outcome: TransferOutcome
  try {
    outcome = await received.transfer.commit()
  } catch (error) {
    await endEarly(received.transfer, error)
    throw error
  }
  const report = reportOf(outcome, received)
  const status = statusOf(report)
  return prefersJSON(c.req.raw)
    ? c.json(toJSON(report), status, { 'cache-control': 'no-store' })
    : htmlResponse(<UploadAnswerPage shell={await deps.shell.read(c)} report={report} />, status)
}

function prefersJSON(request: Request): boolean {
  const offers = [{ type: 'text/html' }, { type: 'application/json' }]
  const choice = negotiate(parseAccept(request.headers.get('accept')), offers)
  return choice?.offer.type === 'application/json'
}

/** The numbers of the page for programs; without the names of the files, which they know themselves. */
function toJSON(report: UploadReport) {
  return {
    transferID: report.transferID,
    state: report.state,
    handling: report.handling,
    storedCount: report.storedCount,
    duplicateCount: report.duplicateCount,
    refusedCount: report.refusals.length + report.rolledBackCount,
    skippedCount: report.skippedCount,
    studies: report.studies,
    refusals: report.refusals.map(({ position, reason, detail, sopInstanceUID }) => ({
      position,
      failureReason: reason,
      failureReasonHex: reason.toString(16).toUpperCase().padStart(4, '0'),
      detail,
      sopInstanceUID,
    })),
    warnings: report.warnings.map(({ position, detail, sopInstanceUID }) => ({
      position,
      detail,
      sopInstanceUID,
    })),
  }
}
