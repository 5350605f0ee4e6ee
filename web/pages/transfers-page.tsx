/** @jsxImportSource hono/jsx */
import type { TransferState } from '../../db/schema.ts'
import type { Transfer } from '../../db/transfers.ts'
import { Layout, type Shell } from '../layout.tsx'
import type { LiveRegion } from '../parts/live-message.tsx'
import { transferSigns } from '../parts/state-badge.tsx'
import { TransferRow } from '../parts/transfer-row.tsx'
import { paths } from '../paths.ts'

/** Running transfers that are listed; one more in the props says that there are more. */
export const arrivingListed = 50

export interface TransferList {
  arriving: Transfer[]
  ended: Transfer[]
  /** By the clock of the server, for rates. */
  now: Date
  state?: TransferState | undefined
  /** How many newer ones there are that ended. */
  skip: number
  hasMore: boolean
}

interface TransfersPageProps {
  shell?: Shell | undefined
  list: TransferList
  pageSize: number
}

export function TransfersPage({ shell, list, pageSize }: TransfersPageProps) {
  const { state, skip } = list
  return (
    <Layout
      title="Transfers"
      current="transfers"
      shell={shell}
      live={`${paths.live('transfers')}${queryOf(state, skip)}`}
    >
      <h1>Transfers</h1>
      <section id="arriving">
        <Arriving list={list} />
      </section>
      <nav class="chips" aria-label="Outcome">
        <Chip current={state} />
        {(['committed', 'refused', 'aborted', 'expired'] as const).map((one) => (
          <Chip state={one} current={state} />
        ))}
      </nav>
      <section id="ended">
        <Ended list={list} pageSize={pageSize} />
      </section>
    </Layout>
  )
}

export function transferListRegions(list: TransferList, pageSize: number): LiveRegion[] {
  return [
    { id: 'arriving', content: <Arriving list={list} /> },
    { id: 'ended', content: <Ended list={list} pageSize={pageSize} /> },
  ]
}

function queryOf(state: string | undefined, skip: number): string {
  const query = new URLSearchParams()
  if (state !== undefined) query.set('state', state)
  if (skip > 0) query.set('skip', String(skip))
  return query.size === 0 ? '' : `?${query}`
}

function Chip({ state, current }: { state?: TransferState; current: TransferState | undefined }) {
  return (
    <a
      class="chip"
      href={paths.transfers + queryOf(state, 0)}
      {...(state === current ? { 'aria-current': 'true' as const } : {})}
    >
      {state === undefined ? 'All' : transferSigns[state].word}
    </a>
  )
}

function Arriving({ list: { arriving, now } }: { list: TransferList }) {
  return (
    <>
      <h2>Arriving now</h2>
      {arriving.length === 0 ? (
        <p class="muted">Nothing is on its way.</p>
      ) : (
        <TransferTable
          caption="Transfers arriving now"
          about="Received"
          transfers={arriving.slice(0, arrivingListed)}
          now={now}
        />
      )}
      {arriving.length > arrivingListed && (
        <p class="muted">These are the newest {arrivingListed}; there are more.</p>
      )}
    </>
  )
}

function Ended({ list, pageSize }: { list: TransferList; pageSize: number }) {
  const { ended, state, skip, hasMore } = list
  return (
    <>
      <h2>{state === undefined ? 'Ended' : transferSigns[state].word}</h2>
      {ended.length === 0 ? (
        <p class="muted">There is none.</p>
      ) : (
        <TransferTable caption="Transfers that ended" about="Outcome" transfers={ended} />
      )}
      {(skip > 0 || hasMore) && (
        <nav class="paging" aria-label="Pages of the list">
          {skip > 0 && (
            <a href={paths.transfers + queryOf(state, Math.max(0, skip - pageSize))}>Newer</a>
          )}
          {hasMore && <a href={paths.transfers + queryOf(state, skip + pageSize)}>Older</a>}
        </nav>
      )}
    </>
  )
}

interface TransferTableProps {
  caption: string
  /** What the column says that differs: how far it is, or what became of it. */
  about: 'Received' | 'Outcome'
  transfers: Transfer[]
  now?: Date
}

function TransferTable({ caption, about, transfers, now }: TransferTableProps) {
  return (
    <table class="transfers">
      <caption class="unseen">{caption}</caption>
      <thead>
        <tr>
          <th scope="col">State</th>
          <th scope="col">From</th>
          <th scope="col" class="number">
            Instances
          </th>
          <th scope="col">{about}</th>
          <th scope="col">Started</th>
        </tr>
      </thead>
      <tbody>
        {transfers.map((transfer) => (
          <TransferRow transfer={transfer} now={now} />
        ))}
      </tbody>
    </table>
  )
}
