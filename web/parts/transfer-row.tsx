/** @jsxImportSource hono/jsx */
import type { Transfer } from '../../db/transfers.ts'
import { elementID, paths } from '../paths.ts'
import { Ago, durationText } from './instant.tsx'
import { bytesText, countOf, countText } from './quantity.tsx'
import { TransferBadge } from './state-badge.tsx'

const services: Record<string, string> = { stow: 'STOW-RS', upload: 'Upload' }

export interface TransferRowProps {
  transfer: Transfer
  /** By which the rate of a running one is told. */
  now?: Date | undefined
}

/** One transfer in a list, running or ended. */
export function TransferRow({ transfer, now }: TransferRowProps) {
  const { transferID, state, senderProduct, startedAt, partCount } = transfer
  return (
    <tr id={elementID('transfer', transferID)} class="linked" data-state={state}>
      <td>
        <TransferBadge state={state} />
      </td>
      <td>
        <a href={paths.transfer(transferID)} data-row>
          {originOf(transfer)}
        </a>
        {senderProduct && <small class="product">{senderProduct}</small>}
      </td>
      <td class="number" data-label="Instances">
        {countText(partCount)}
      </td>
      <td>
        {state === 'receiving' ? (
          <Progress transfer={transfer} now={now} />
        ) : (
          <Outcome transfer={transfer} />
        )}
      </td>
      <td class="instant" data-label="Started">
        <Ago at={startedAt} />
      </td>
    </tr>
  )
}

/** `STOW-RS from 10.0.0.7` */
export function originOf({ service, sender }: Transfer): string {
  const name = services[service] ?? service
  return sender === null ? name : `${name} from ${sender}`
}

/** What became of a transfer that has ended, in words. */
export function outcomeOf(transfer: Transfer): string {
  if (transfer.state !== 'committed') return 'Nothing of it is stored'
  const { storedCount, duplicateCount, refusedCount, warningCount } = transfer
  const words = [`${countText(storedCount)} stored`]
  if (duplicateCount > 0) words.push(`${countText(duplicateCount)} here already`)
  if (refusedCount > 0) words.push(`${countText(refusedCount)} refused`)
  if (warningCount > 0) words.push(countOf(warningCount, 'warning'))
  return words.join(', ')
}

/** How long it took, or undefined while it goes on. */
export function durationOf({ startedAt, endedAt }: Transfer): string | undefined {
  return endedAt === null ? undefined : durationText(endedAt.getTime() - startedAt.getTime())
}

function Outcome({ transfer }: TransferRowProps) {
  const { receivedBytes, reason } = transfer
  const facts = [bytesText(receivedBytes), durationOf(transfer)].filter(Boolean).join(' in ')
  return (
    <>
      {outcomeOf(transfer)}
      <small>{reason === null ? facts : `${reason} · ${facts}`}</small>
    </>
  )
}

/** A bar only where the sender said how much it sends; one that guesses would lie. */
export function Progress({ transfer, now }: TransferRowProps) {
  const { receivedBytes, announcedBytes } = transfer
  if (announcedBytes === null) {
    return (
      <>
        {bytesText(receivedBytes)} received
        <small>{rateOf(transfer, now)}</small>
      </>
    )
  }
  return (
    <>
      <progress max={announcedBytes} value={receivedBytes} aria-label="Bytes received" />
      <small>
        {bytesText(receivedBytes)} of {bytesText(announcedBytes)} {rateOf(transfer, now)}
      </small>
    </>
  )
}

/** `· 61.2 MB/s`, since its beginning; nothing in its first second. */
function rateOf({ startedAt, receivedBytes }: Transfer, now: Date | undefined): string {
  const seconds = now === undefined ? 0 : (now.getTime() - startedAt.getTime()) / 1000
  return seconds < 1 ? '' : `· ${bytesText(Math.round(receivedBytes / seconds))}/s`
}
