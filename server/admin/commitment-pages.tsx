/** @jsxImportSource hono/jsx */
import { type Context, Hono } from 'hono'
import { countFailures, listFailures, lostSinceCommitted } from '../../db/commitment-list.ts'
import {
  type Commitment,
  findCommitment,
  listCommitments,
  studiesOfCommitment,
} from '../../db/commitments.ts'
import {
  CommitmentPage,
  type CommitmentView,
  commitmentRegions,
} from '../../web/pages/commitment-page.tsx'
import {
  type CommitmentList,
  CommitmentsPage,
  commitmentFilters,
  commitmentsRegions,
} from '../../web/pages/commitments-page.tsx'
import type { ListedCommitment } from '../../web/parts/commitment-table.tsx'
import { paths } from '../../web/paths.ts'
import { htmlResponse } from '../../web/respond.tsx'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import type { PageDeps } from './deps.ts'

const onPage = { commitments: 50, failures: 100, studies: 100 }
/** Failures of larger requests are counted by reason on their own page alone. */
const countedInList = 20_000

/** Requests for storage commitment, and what became of them. */
export function commitmentPages(deps: PageDeps): Hono<AppEnv> {
  const { db } = deps

  async function readList(
    query: Pick<CommitmentList, 'only' | 'studyInstanceUID'>,
    before: number | undefined,
  ): Promise<CommitmentList> {
    const { only, studyInstanceUID } = query
    const found = await listCommitments(db, {
      limit: onPage.commitments + 1,
      states: only === 'waiting' ? ['waiting'] : undefined,
      hasFailures: only === 'failed',
      before,
      studyInstanceUID,
    })
    const shown = found.slice(0, onPage.commitments)
    return {
      commitments: await withFailures(db, shown),
      only,
      studyInstanceUID,
      older: found.length > shown.length ? shown.at(-1)?.commitmentKey : undefined,
      isNewest: before === undefined,
    }
  }

  async function readOne(transactionUID: string, after: number): Promise<CommitmentView> {
    const commitment = isUID(transactionUID) ? await findCommitment(db, transactionUID) : undefined
    if (commitment === undefined) {
      throw new HttpProblem(404, 'There is no commitment request with this Transaction UID')
    }
    const { commitmentKey, state } = commitment
    const isFinished = state === 'finished'
    const [studies, reasons, lost, failures] = await Promise.all([
      studiesOfCommitment(db, commitmentKey, onPage.studies),
      isFinished ? countFailures(db, [commitmentKey]) : [],
      isFinished ? lostSinceCommitted(db, commitmentKey) : undefined,
      isFinished ? listFailures(db, commitmentKey, { after, limit: onPage.failures + 1 }) : [],
    ])
    const shown = failures.slice(0, onPage.failures)
    const next = failures.length > shown.length ? shown.at(-1)?.position : undefined
    return { commitment, studies, reasons, lost, failures: shown, next, isFirst: after < 0 }
  }

  return new Hono<AppEnv>()
    .get(paths.commitments, async (c) => {
      const before = numberOf(c.req.query('before'))
      const [list, shell] = await Promise.all([readList(queryOf(c), before), deps.shell.read(c)])
      return htmlResponse(
        <CommitmentsPage shell={shell} list={list} requestsURL={requestsURL(c)} />,
      )
    })
    .get(paths.live('commitments'), (c) => {
      const query = queryOf(c)
      const name = `commitments ${query.only} ${query.studyInstanceUID}`
      return deps.stream(c, 'commitments', name, async () =>
        commitmentsRegions(await readList(query, undefined), requestsURL(c)),
      )
    })
    .get('/commitments/:transaction', async (c) => {
      const after = numberOf(c.req.query('after')) ?? -1
      const [view, shell] = await Promise.all([
        readOne(c.req.param('transaction'), after),
        deps.shell.read(c),
      ])
      return htmlResponse(<CommitmentPage shell={shell} view={view} />)
    })
    .get(paths.live('commitment/:transaction'), async (c) => {
      const transactionUID = c.req.param('transaction') as string
      await readOne(transactionUID, -1)
      return deps.stream(c, 'commitments', `commitment ${transactionUID}`, async () =>
        commitmentRegions(await readOne(transactionUID, -1)),
      )
    })
}

/** Requests with why instances of them failed. */
export async function withFailures(
  db: PageDeps['db'],
  commitments: Commitment[],
): Promise<ListedCommitment[]> {
  const failed = commitments.filter(
    ({ state, failedCount, instanceCount }) =>
      state === 'finished' && failedCount > 0 && instanceCount <= countedInList,
  )
  const counts = await countFailures(
    db,
    failed.map(({ commitmentKey }) => commitmentKey),
  )
  return commitments.map((commitment) => ({
    commitment,
    failures: counts.filter(({ commitmentKey }) => commitmentKey === commitment.commitmentKey),
  }))
}

function requestsURL(c: Context<AppEnv>): string {
  return `${c.get('baseURL')}/dicom-web/commitment-requests`
}

function queryOf(c: Context<AppEnv>) {
  const study = c.req.query('study')
  if (study !== undefined && !isUID(study)) {
    throw new HttpProblem(400, 'Cannot list commitments: "study" is no UID')
  }
  const only = commitmentFilters.find((one) => one === c.req.query('only'))
  return { only, studyInstanceUID: study }
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new HttpProblem(400, 'Cannot find this place in the list: it is no number')
}
