import { limitMet, networkOf, OverloadedError, type Scarce } from '../http/overload.ts'
import type { Transfer, TransferRequest } from './transfer.ts'

export interface RoomLimits {
  /** Transfers open at once on this server. */
  transfers: number
  /** Bytes that all of them announced or brought, and that are not committed. */
  uncommittedBytes: number
}

/**
 * Whether there is room for one more transfer beside those that are open, in all and in the share of its sender: whoever
 * shows credentials is known by their name, others by their network.
 *
 * A request that announces nothing counts with what it brings, so that all together may grow beyond the limit; none is
 * cut off for that.
 *
 * @throws {OverloadedError}
 */
export function mustHaveRoom(
  request: TransferRequest,
  open: Iterable<Pick<Transfer, 'holder' | 'uncommittedBytes'>>,
  limits: RoomLimits,
): void {
  const holder = holderOf(request)
  const taken = { transfers: 0, bytes: 0 }
  const own = { transfers: 0, bytes: 0 }
  for (const { holder: other, uncommittedBytes } of open) {
    taken.transfers++
    taken.bytes += uncommittedBytes
    if (other !== holder) continue
    own.transfers++
    own.bytes += uncommittedBytes
  }
  function check(what: 'transfers' | 'bytes', limit: number, more: number, name: string): void {
    const whose = limitMet(limit, taken[what], own[what], more)
    if (whose === undefined) return
    const detail =
      whose === 'server'
        ? `${taken[what]} of ${limit} ${name} are taken on this server`
        : `${own[what]} of ${limit} ${name} are taken by this sender, and the rest is for others`
    throw new OverloadedError(what satisfies Scarce, whose, detail)
  }
  check('transfers', limits.transfers, 1, 'transfers')
  // One that is larger than the limit is taken, alone.
  const more = Math.min(Math.max(1, request.announcedBytes ?? 0), limits.uncommittedBytes)
  check('bytes', limits.uncommittedBytes, more, 'bytes that are not committed')
}

/** Whose share a transfer is from. */
export function holderOf({ sentBy, sender }: TransferRequest): string {
  return sentBy ?? networkOf(sender)
}
