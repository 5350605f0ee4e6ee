import { Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import { lastDeletionOf } from '../../db/deletions.ts'
import { findStudy } from '../../db/listing.ts'
import { type TransferState, transferStates } from '../../db/schema.ts'
import { stabilityOfStudy } from '../../db/stability.ts'
import { findTransfer, listTransfers, type Transfer } from '../../db/transfers.ts'
import { commitmentOf, completenessOf, expectedCompleteness } from '../completeness/answer.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { seesOnlyOwn } from '../http/identity.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Intake } from '../intake/intake.ts'

const transfersByDefault = 50
const transfersAtMost = 1000

/** `/api`: what DICOM has no word for, as JSON. Members that have no value are left out. */
export function apiRoutes({
  db,
  intake,
}: {
  db: Database
  intake: Pick<Intake, 'untoldStudies'>
}): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .use(async (c, next) => {
      await next()
      c.res.headers.set('cache-control', 'no-store')
    })
    .get('/transfers', async (c) => {
      const limit = limitOf(c.req.query('limit'))
      const states = statesOf(c.req.query('state'))
      const identity = c.get('identity')
      const sentBy = seesOnlyOwn(identity) ? identity.name : undefined
      const found = await listTransfers(db, { limit, states, sentBy })
      return c.json({ transfers: found.map(toTransfer) })
    })
    .get('/transfers/:transfer', async (c) => {
      const found = await readTransfer(db, c.req.param('transfer'))
      const identity = c.get('identity')
      // As if there were none: that it is there is not for everybody to know.
      if (seesOnlyOwn(identity) && found.sentBy !== identity.name) throw noTransfer()
      return c.json({
        ...toTransfer(found),
        refusals: found.refusals.map((one) => ({
          position: one.position,
          failureReason: one.failureReason,
          failureReasonHex: hex(one.failureReason),
          detail: one.detail,
          ...present({
            studyInstanceUID: one.studyInstanceUID,
            sopClassUID: one.sopClassUID,
            sopInstanceUID: one.sopInstanceUID,
          }),
        })),
        warnings: found.warnings.map((one) => ({
          position: one.position,
          warningReason: one.warningReason,
          warningReasonHex: hex(one.warningReason),
          detail: one.detail,
          studyInstanceUID: one.studyInstanceUID,
          sopInstanceUID: one.sopInstanceUID,
        })),
      })
    })
    .get('/studies/:study', async (c) => {
      const study = await findOrExpect(db, c.req.param('study'))
      if ('completeness' in study) return c.json(study)
      const stability = await stabilityOfStudy(db, study.studyInstanceUID, intake.untoldStudies)
      return c.json({
        studyInstanceUID: study.studyInstanceUID,
        ...present({ ...stability }),
        seriesCount: study.seriesCount,
        instanceCount: study.instanceCount,
        byteLength: study.byteLength,
        firstReceivedAt: study.firstReceivedAt,
        lastReceivedAt: study.lastReceivedAt,
        completeness: await completenessOf(db, study),
        commitment: commitmentOf(study),
      })
    })
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** @throws {HttpProblem} 404 */
export async function readTransfer(db: Database, transferID: string) {
  const found = uuid.test(transferID) ? await findTransfer(db, transferID) : undefined
  if (found === undefined) throw noTransfer()
  return found
}

function noTransfer(): HttpProblem {
  return new HttpProblem(404, 'There is no such transfer')
}

/** A study, or what is to be said of one that was only spoken of. @throws {HttpProblem} 404; 410 it was deleted */
async function findOrExpect(db: Database, studyInstanceUID: string) {
  try {
    return await readStudy(db, studyInstanceUID)
  } catch (error) {
    if (!(error instanceof HttpProblem) || error.status !== 404) throw error
    const completeness = await expectedCompleteness(db, studyInstanceUID)
    if (completeness.evidence.length === 0) throw error
    const counts = { seriesCount: 0, instanceCount: 0, byteLength: 0 }
    const commitment = { state: 'none', committed: 0, failed: 0 }
    return { studyInstanceUID, state: 'expected', ...counts, completeness, commitment }
  }
}

/** @throws {HttpProblem} 404; 410 it was deleted */
export async function readStudy(db: Database, studyInstanceUID: string) {
  const study = isUID(studyInstanceUID) ? await findStudy(db, studyInstanceUID) : undefined
  if (study !== undefined) return study
  const deletion = await lastDeletionOf(db, { studyInstanceUID })
  if (deletion === undefined) throw new HttpProblem(404, 'There is no such study')
  const { deletionKey, deletedAt } = deletion
  throw new HttpProblem(410, 'The study was deleted', {
    members: { deletion: deletionKey, deletedAt },
  })
}

function toTransfer(transfer: Transfer) {
  const { transferID, state, service, handling } = transfer
  const { sender, senderProduct, sentBy, studyInstanceUID, announcedBytes, endedAt, reason } =
    transfer
  return {
    transferID,
    state,
    service,
    handling,
    receivedBytes: transfer.receivedBytes,
    partCount: transfer.partCount,
    storedCount: transfer.storedCount,
    duplicateCount: transfer.duplicateCount,
    refusedCount: transfer.refusedCount,
    warningCount: transfer.warningCount,
    startedAt: transfer.startedAt,
    ...present({
      endedAt,
      reason,
      sender,
      senderProduct,
      sentBy,
      studyInstanceUID,
      announcedBytes,
    }),
  }
}

function present(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null))
}

function hex(reason: number): string {
  return reason.toString(16).toUpperCase().padStart(4, '0')
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return transfersByDefault
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new HttpProblem(400, 'Cannot list transfers: "limit" is no whole number above 0')
  }
  return Math.min(Number(text), transfersAtMost)
}

function statesOf(text: string | undefined): TransferState[] | undefined {
  if (text === undefined) return undefined
  const states = text.split(',')
  if (states.every(isState)) return states
  throw new HttpProblem(
    400,
    `Cannot list transfers: "state" is none of ${transferStates.join(', ')}, or several with commas`,
  )
}

function isState(text: string): text is TransferState {
  return (transferStates as readonly string[]).includes(text)
}
