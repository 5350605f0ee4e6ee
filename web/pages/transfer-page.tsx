/** @jsxImportSource hono/jsx */
import type { findTransfer, Transfer } from '../../db/transfers.ts'
import { Layout, type Shell } from '../layout.tsx'
import { FindingTable } from '../parts/finding-table.tsx'
import { Instant } from '../parts/instant.tsx'
import type { LiveRegion } from '../parts/live-message.tsx'
import { bytesText, countOf, countText } from '../parts/quantity.tsx'
import { TransferBadge } from '../parts/state-badge.tsx'
import { durationOf, originOf, outcomeOf, Progress } from '../parts/transfer-row.tsx'
import { paths } from '../paths.ts'

export type TransferWithFindings = NonNullable<Awaited<ReturnType<typeof findTransfer>>>

/** Where a transfer leads to. */
export interface TransferStudies {
  /** There is something to be seen of the study that it was sent to. */
  isKnown: boolean
  /** What it stored, as far as that is known. */
  stored: string[]
  hasMore: boolean
}

const nowhere: TransferStudies = { isKnown: false, stored: [], hasMore: false }

interface TransferPageProps {
  transfer: TransferWithFindings
  studies?: TransferStudies
}

/** As many refusals or warnings as one page lists; the API has all of them. */
const listedFindings = 1000

export function TransferPage({
  shell,
  transfer,
  studies = nowhere,
}: TransferPageProps & { shell?: Shell | undefined }) {
  const isOpen = transfer.state === 'receiving'
  return (
    <Layout
      title="Transfer"
      current="transfers"
      shell={shell}
      live={isOpen ? paths.live(`transfer/${transfer.transferID}`) : undefined}
    >
      <p class="back">
        <a href={paths.transfers} data-back>
          Transfers
        </a>
      </p>
      <h1>Transfer</h1>
      <div id="transfer">
        <TransferView transfer={transfer} studies={studies} />
      </div>
    </Layout>
  )
}

export function transferRegions(
  transfer: TransferWithFindings,
  studies: TransferStudies,
): LiveRegion[] {
  return [{ id: 'transfer', content: <TransferView transfer={transfer} studies={studies} /> }]
}

function TransferView({ transfer, studies }: Required<TransferPageProps>) {
  const { state } = transfer
  return (
    <>
      <p class="verdict">
        <TransferBadge state={state} />{' '}
        {state === 'receiving' ? <Progress transfer={transfer} /> : verdictOf(transfer)}
      </p>
      <TransferFacts transfer={transfer} studies={studies} />
      <Findings transfer={transfer} />
    </>
  )
}

function verdictOf(transfer: Transfer): string {
  const outcome = `${outcomeOf(transfer)}.`
  return transfer.reason === null ? outcome : `${outcome} ${transfer.reason}.`
}

function TransferFacts({ transfer, studies }: Required<TransferPageProps>) {
  const { studyInstanceUID, senderProduct, sentBy, endedAt, announcedBytes } = transfer
  return (
    <dl class="facts">
      <Fact name="From">{originOf(transfer)}</Fact>
      {senderProduct && <Fact name="Calls itself">{senderProduct}</Fact>}
      {sentBy && <Fact name="Sent by">{sentBy}</Fact>}
      <Fact name="Handling">
        {transfer.handling === 'strict' ? 'Strict: all or nothing' : 'Lenient: the good ones'}
      </Fact>
      <Fact name="Started (UTC)">
        <Instant at={transfer.startedAt} />
      </Fact>
      {endedAt && (
        <Fact name="Ended (UTC)">
          <Instant at={endedAt} />, after {durationOf(transfer)}
        </Fact>
      )}
      <Fact name="Instances">{countText(transfer.partCount)}</Fact>
      <Fact name="Received">
        {bytesText(transfer.receivedBytes)}
        {announcedBytes !== null && ` of ${bytesText(announcedBytes)}`}
      </Fact>
      {studyInstanceUID && (
        <Fact name="Sent to study">
          {studies.isKnown ? (
            <StudyLink studyInstanceUID={studyInstanceUID} />
          ) : (
            <span class="uid">{studyInstanceUID}</span>
          )}
        </Fact>
      )}
      {!studyInstanceUID && studies.stored.length > 0 && (
        <Fact name={studies.stored.length === 1 ? 'Stored study' : 'Stored studies'}>
          {studies.stored.map((one) => (
            <span class="line">
              <StudyLink studyInstanceUID={one} />
            </span>
          ))}
          {studies.hasMore && 'and more'}
        </Fact>
      )}
      <Fact name="Transfer">
        <span class="uid">{transfer.transferID}</span>
      </Fact>
    </dl>
  )
}

function StudyLink({ studyInstanceUID }: { studyInstanceUID: string }) {
  return (
    <a class="uid" href={paths.study(studyInstanceUID)}>
      {studyInstanceUID}
    </a>
  )
}

function Fact({ name, children }: { name: string; children: unknown }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function Findings({ transfer: { refusals, warnings } }: Pick<TransferPageProps, 'transfer'>) {
  const refused = refusals.slice(0, listedFindings)
  const warned = warnings.slice(0, listedFindings)
  return (
    <>
      {refused.length > 0 && (
        <FindingTable
          caption={captionOf(refused.length, refusals.length, 'refused instance')}
          findings={refused.map((one) => ({ ...one, reason: one.failureReason }))}
        />
      )}
      {warned.length > 0 && (
        <FindingTable
          caption={captionOf(warned.length, warnings.length, 'warning')}
          findings={warned.map((one) => ({ ...one, reason: one.warningReason }))}
        />
      )}
    </>
  )
}

function captionOf(shown: number, total: number, what: string): string {
  return shown < total
    ? `First ${countText(shown)} of ${countOf(total, what)}`
    : countOf(total, what)
}
