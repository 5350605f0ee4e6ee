import type { Database } from '../../db/database.ts'
import { putEvidence } from '../../db/evidence.ts'
import { claimQuestions } from '../../db/questions.ts'
import type { Verdict } from '../../db/schema.ts'
import { describeError, type Log } from '../log.ts'
import { askPeer, type Peer } from './ask-peer.ts'

export interface PeerAskerDeps {
  db: Database
  log: Log
  /** Undefined: nobody is asked. */
  peer: Peer | undefined
  /** Evidence changed. */
  changed(): void
}

/** Without a notice it looks so often; what a dead server left is found then. */
const betweenLooksMs = 60_000
const atOnce = 10
/** What settled before is not asked of. */
const lookBackMs = 24 * 3600 * 1000

/**
 * Asks a peer once for each study that settles, after its quiet time. The servers share the work: whoever takes a study
 * marks it in the database, so nobody else asks of it.
 */
export class PeerAsker {
  readonly #deps: PeerAskerDeps
  readonly #ending = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #isAsked = false

  constructor(deps: PeerAskerDeps) {
    this.#deps = deps
  }

  get isConfigured(): boolean {
    return this.#deps.peer !== undefined
  }

  start(): void {
    if (!this.isConfigured) return
    this.#timer = setInterval(() => this.wake(), betweenLooksMs)
    this.#timer.unref?.()
    this.wake()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#ending.abort()
    await this.#running
  }

  /** Something may have settled. Costs nothing, may be called at any rate. */
  wake(): void {
    if (!this.isConfigured || this.#ending.signal.aborted) return
    this.#isAsked = true
    this.#running ??= this.#work()
      .catch((error) => {
        this.#deps.log.warn('the peer could not be asked, which is tried again', {
          error: describeError(error),
        })
      })
      .finally(() => {
        this.#running = undefined
      })
  }

  /** Asks now, on demand. @returns the verdict of the study; undefined: there is no peer. */
  async ask(studyInstanceUID: string): Promise<Verdict | undefined> {
    const { db, peer, changed } = this.#deps
    if (peer === undefined) return undefined
    const claim = await askPeer(peer, studyInstanceUID, this.#ending.signal)
    if (this.#ending.signal.aborted) return undefined
    const verdict = await putEvidence(db, studyInstanceUID, {
      source: 'peer',
      origin: '',
      extent: 'all',
      claims: [claim],
      claimedBy: peer.url,
    })
    changed()
    return verdict
  }

  async #work(): Promise<void> {
    const { db, peer } = this.#deps
    const { url, timeoutMs } = peer as Peer
    while (this.#isAsked && !this.#ending.signal.aborted) {
      this.#isAsked = false
      const taken = await claimQuestions(db, url, {
        since: new Date(Date.now() - lookBackMs),
        leaseSeconds: (2 * timeoutMs * atOnce) / 1000,
        limit: atOnce,
      })
      for (const { studyInstanceUID } of taken) await this.ask(studyInstanceUID)
      if (taken.length > 0) this.#isAsked = true
    }
  }
}
