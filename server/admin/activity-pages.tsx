/** @jsxImportSource hono/jsx */
import { type Context, Hono } from 'hono'
import { type TransferState, transferStates } from '../../db/schema.ts'
import { groupProblems, isStudyKnown, listProblems, studiesStoredBy } from '../../db/study-life.ts'
import { listTransfers, type Transfer } from '../../db/transfers.ts'
import {
  ProblemListPage,
  ProblemsPage,
  problemListRegions,
  problemRegions,
} from '../../web/pages/problems-page.tsx'
import { TransferPage, transferRegions } from '../../web/pages/transfer-page.tsx'
import {
  arrivingListed,
  type TransferList,
  TransfersPage,
  transferListRegions,
} from '../../web/pages/transfers-page.tsx'
import { paths } from '../../web/paths.ts'
import { htmlResponse } from '../../web/respond.tsx'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { readTransfer } from './api.ts'
import type { PageDeps } from './deps.ts'

const endedOnPage = 50
const problemsOnPage = 200
const deepest = 100_000
const studiesListed = 20

/** What comes and what was refused. */
export function activityPages(deps: PageDeps): Hono<AppEnv> {
  const { db } = deps

  async function readTransfers(state: TransferState | undefined, skip: number) {
    const ended = transferStates.filter((one) => one !== 'receiving')
    const [arriving, found] = await Promise.all([
      listTransfers(db, { states: ['receiving'], limit: arrivingListed + 1 }),
      listTransfers(db, {
        states: state === undefined ? ended : [state],
        limit: endedOnPage + 1,
        offset: skip,
      }),
    ])
    const list: TransferList = {
      arriving,
      ended: found.slice(0, endedOnPage),
      now: new Date(),
      state,
      skip,
      hasMore: found.length > endedOnPage,
    }
    return list
  }

  async function readStudiesOf({ transferID, state, studyInstanceUID }: Transfer) {
    const [isKnown, stored] = await Promise.all([
      studyInstanceUID !== null && isStudyKnown(db, studyInstanceUID),
      state === 'committed' && studyInstanceUID === null
        ? studiesStoredBy(db, transferID, studiesListed + 1)
        : [],
    ])
    return {
      isKnown,
      stored: stored.slice(0, studiesListed),
      hasMore: stored.length > studiesListed,
    }
  }

  return new Hono<AppEnv>()
    .get(paths.transfers, async (c) => {
      const state = stateOf(c.req.query('state'))
      const [list, shell] = await Promise.all([
        readTransfers(state, skipOf(c.req.query('skip'))),
        deps.shell.read(c),
      ])
      return htmlResponse(<TransfersPage shell={shell} list={list} pageSize={endedOnPage} />)
    })
    .get(paths.live('transfers'), (c) => {
      const state = stateOf(c.req.query('state'))
      const skip = skipOf(c.req.query('skip'))
      return deps.stream(c, 'transfers', `transfers ${state} ${skip}`, async () =>
        transferListRegions(await readTransfers(state, skip), endedOnPage),
      )
    })
    .get('/transfers/:transfer', async (c) => {
      const [transfer, shell] = await Promise.all([
        readTransfer(db, c.req.param('transfer')),
        deps.shell.read(c),
      ])
      const studies = await readStudiesOf(transfer)
      return htmlResponse(<TransferPage shell={shell} transfer={transfer} studies={studies} />)
    })
    .get(paths.live('transfer/:transfer'), async (c) => {
      const { transferID } = await readTransfer(db, c.req.param('transfer') as string)
      return deps.stream(c, 'transfers', `transfer ${transferID}`, async () => {
        const transfer = await readTransfer(db, transferID)
        return transferRegions(transfer, await readStudiesOf(transfer))
      })
    })
    .get(paths.problems, async (c) => {
      const [groups, shell] = await Promise.all([groupProblems(db), deps.shell.read(c)])
      return htmlResponse(<ProblemsPage shell={shell} groups={groups} />)
    })
    .get(paths.live('problems'), (c) =>
      deps.stream(c, 'problems', 'problems', async () => problemRegions(await groupProblems(db))),
    )
    .get('/problems/:kind/:reason', async (c) => {
      const { kind, reason } = reasonOf(c)
      const [problems, shell] = await Promise.all([
        listProblems(db, kind, reason, problemsOnPage),
        deps.shell.read(c),
      ])
      return htmlResponse(
        <ProblemListPage shell={shell} kind={kind} reason={reason} problems={problems} />,
      )
    })
    .get(paths.live('problems/:kind/:reason'), async (c) => {
      const { kind, reason } = reasonOf(c)
      return deps.stream(c, 'problems', `problems ${kind} ${reason}`, async () =>
        problemListRegions(await listProblems(db, kind, reason, problemsOnPage)),
      )
    })
}

/** @throws {HttpProblem} 404 */
function reasonOf(c: Context<AppEnv>) {
  const { kind, reason } = c.req.param() as { kind: string; reason: string }
  if ((kind !== 'refusal' && kind !== 'warning') || !/^\d{1,5}$/.test(reason)) {
    throw new HttpProblem(404, 'There is no such reason')
  }
  return { kind, reason: Number(reason) } as const
}

function stateOf(text: string | undefined): TransferState | undefined {
  const state = transferStates.find((one) => one === text)
  return state === 'receiving' ? undefined : state
}

function skipOf(text = '0'): number {
  if (/^\d{1,6}$/.test(text) && Number(text) <= deepest) return Number(text)
  throw new HttpProblem(400, 'Cannot find this place in the list: begin with the newest')
}
