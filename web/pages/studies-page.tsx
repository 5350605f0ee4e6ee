/** @jsxImportSource hono/jsx */
import type { ListedStudy } from '../../db/listing.ts'
import type { Transfer } from '../../db/transfers.ts'
import { Layout } from '../layout.tsx'
import { countText } from '../parts/quantity.tsx'
import { StudyRow } from '../parts/study-row.tsx'
import { TransferRow } from '../parts/transfer-row.tsx'
import { paths } from '../paths.ts'

/** What the first page shows, and what its live stream shows again. */
export interface StudiesOverview {
  studies: StudyList
  arriving: Transfer[]
  ended: Transfer[]
}

/** Running transfers that are listed; one more in the props says that there are more. */
export const arrivingListed = 50

export interface StudyList {
  studies: ListedStudy[]
  /** How many there are in all, and whether that is only where counting stopped. */
  total: number
  isTotalBounded: boolean
  hasNewer: boolean
  hasOlder: boolean
}

interface StudiesPageProps {
  /** Where senders send to: `https://…/dicom-web/studies` */
  studiesURL: string
  list: StudyList
  /** On the first page only: older ones stand still. */
  transfers?: Pick<StudiesOverview, 'arriving' | 'ended'>
}

export function StudiesPage({ studiesURL, list, transfers }: StudiesPageProps) {
  return (
    <Layout title="Studies" current="studies">
      <div class="heading">
        <h1>Studies</h1>
        {transfers && <LiveState />}
      </div>
      {transfers && (
        <p>
          <a href="#ended">Recent transfers and what became of them</a>
        </p>
      )}
      {transfers && <div hx-sse:connect={paths.live} hx-swap="none" hidden />}
      {transfers && (
        <section id="arriving">
          <ArrivingTransfers transfers={transfers.arriving} />
        </section>
      )}
      <section id="studies">
        <StudyTable list={list} />
      </section>
      {list.total === 0 && <FirstUse studiesURL={studiesURL} />}
      {transfers && (
        <section id="ended">
          <EndedTransfers transfers={transfers.ended} />
        </section>
      )}
    </Layout>
  )
}

/** The parts of the first page that change by themselves, by the id of their section. */
export function liveRegions({ studies, arriving, ended }: StudiesOverview) {
  return {
    arriving: <ArrivingTransfers transfers={arriving} />,
    studies: <StudyTable list={studies} />,
    ended: <EndedTransfers transfers={ended} />,
  }
}

/** One message of the live stream: the regions given take the place of what is shown. */
export function LiveMessage({ regions }: { regions: { id: string; content: unknown }[] }) {
  return (
    <>
      {regions.map(({ id, content }) => (
        <hx-partial hx-target={`#${id}`} hx-swap="innerMorph">
          {content}
        </hx-partial>
      ))}
    </>
  )
}

/** `live.js` keeps it true; without JavaScript it stays as it is here. */
function LiveState() {
  return (
    <p id="live-state" data-live="off" role="status">
      Reload to see what is new
    </p>
  )
}

interface TransfersProps {
  transfers: Transfer[]
}

export function ArrivingTransfers({ transfers }: TransfersProps) {
  return (
    <>
      <h2>Arriving now</h2>
      {transfers.length === 0 ? (
        <p class="muted">Nothing is on its way.</p>
      ) : (
        <TransferTable
          caption="Transfers arriving now"
          about="Received"
          transfers={transfers.slice(0, arrivingListed)}
        />
      )}
      {transfers.length > arrivingListed && (
        <p class="muted">These are the newest {arrivingListed}; there are more.</p>
      )}
    </>
  )
}

export function EndedTransfers({ transfers }: TransfersProps) {
  if (transfers.length === 0) return null
  return (
    <>
      <h2>Recent transfers</h2>
      <TransferTable
        caption="The last transfers that ended"
        about="Outcome"
        transfers={transfers}
      />
    </>
  )
}

interface TransferTableProps extends TransfersProps {
  caption: string
  /** What the column says that differs: how far it is, or what became of it. */
  about: 'Received' | 'Outcome'
}

function TransferTable({ caption, about, transfers }: TransferTableProps) {
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
          <th scope="col">Started (UTC)</th>
        </tr>
      </thead>
      <tbody>
        {transfers.map((transfer) => (
          <TransferRow transfer={transfer} />
        ))}
      </tbody>
    </table>
  )
}

export function StudyTable({ list }: { list: StudyList }) {
  const { studies } = list
  if (studies.length === 0) return <p class="muted">Nothing received yet.</p>
  return (
    <>
      <table class="studies">
        <caption>{captionOf(list)}</caption>
        <thead>
          <tr>
            <th scope="col">Patient</th>
            <th scope="col">Study</th>
            <th scope="col" class="accession">
              Accession
            </th>
            <th scope="col" class="number">
              Series / instances
            </th>
            <th scope="col" class="number size">
              Size
            </th>
            <th scope="col">Last received (UTC)</th>
          </tr>
        </thead>
        <tbody>
          {studies.map((study) => (
            <StudyRow study={study} />
          ))}
        </tbody>
      </table>
      <Paging list={list} />
    </>
  )
}

/** Says what is shown, so that nobody takes a page for the whole. */
export function captionOf({
  studies,
  total,
  isTotalBounded,
  hasNewer,
  hasOlder,
}: StudyList): string {
  const shown = countText(studies.length)
  const all = isTotalBounded ? `more than ${countText(total)}` : countText(total)
  if (!hasNewer && !hasOlder) return studies.length === 1 ? 'The one study' : `All ${shown}`
  return hasNewer ? `${shown} of ${all}` : `Newest ${shown} of ${all}`
}

function Paging({ list: { studies, hasNewer, hasOlder } }: { list: StudyList }) {
  const first = studies[0]
  const last = studies.at(-1)
  if (!hasNewer && !hasOlder) return null
  return (
    <nav class="paging" aria-label="Pages of the list">
      {hasNewer && first && <a href={paths.studiesAfter(first.cursor)}>Newer</a>}
      {hasOlder && last && <a href={paths.studiesBefore(last.cursor)}>Older</a>}
    </nav>
  )
}

/** How to begin. The style sheet hides it as soon as the live table shows a study. */
function FirstUse({ studiesURL }: { studiesURL: string }) {
  return (
    <section id="first-use">
      <h2>Send the first study</h2>
      <p>
        Send to <code>{studiesURL}</code>, for example one file:
      </p>
      <pre>
        <code>curl -H 'Content-Type: application/dicom' --data-binary @image.dcm {studiesURL}</code>
      </pre>
      <p>
        Or <a href={paths.upload}>upload files</a> from this browser.
      </p>
    </section>
  )
}
