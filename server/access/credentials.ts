import { Buffer } from 'node:buffer'
import { setTimeout as delay } from 'node:timers/promises'
import {
  accessChannel,
  type Grant,
  type GrantKind,
  readGrants,
  touchSession,
  touchToken,
} from '../../db/access.ts'
import type { Database } from '../../db/database.ts'
import { type Identity, isRole, type Role } from '../http/identity.ts'
import { describeError, type Log } from '../log.ts'
import type { OidcVerifier } from './oidc.ts'
import { digestOf, looksLikeToken, newToken } from './secrets.ts'

/** Milliseconds between two reads, should no notice come: how old what is known can be. */
const readEveryMs = 5_000

/** Milliseconds from one read to the next at the least, whatever strangers show. */
const betweenReadsMs = 25

/** Milliseconds between two notes of a use. */
const touchedMs = 60_000

/** Seconds after which a session that is not used is over, and after which any is. */
export const sessionIdleSeconds = 2 * 3600
export const sessionSeconds = 12 * 3600

/** Where LISTEN can be said: a connection that no pooler stands before. */
interface Listening {
  listen(
    channel: string,
    heard: () => void,
    connected?: () => void,
  ): Promise<{ unlisten(): Promise<void> }>
}

interface Known {
  identity: Identity
  digest: Uint8Array
  /** By the clock of this process, which nobody sets. */
  endsAt: number
  touchedAt: number
}

/** A right that this server gives itself, for as long as it takes. */
export interface Loan extends Disposable {
  token: string
}

/**
 * Who a token or a session stands for.
 *
 * All that are good are held in memory, so a request costs a digest and no query, and /healthz answers without a
 * database. They are read again at each notice of a change, each (re)connection of LISTEN, and every 5 s, so nothing
 * depends on a notice arriving; and when somebody shows what is not known, as it may have been made a moment ago on
 * another server: then all who wait share one read. While the database does not answer, what was read last holds.
 */
export class Credentials {
  readonly #db: Database
  readonly #log: Log
  readonly #oidc: OidcVerifier | undefined
  readonly #lent = new Map<string, Identity>()
  readonly #followers = new Set<{ identity: Identity; end(): void }>()
  #known = new Map<string, Known>()
  /** Identities of what is read here, and so can be followed: not those of a provider's tokens, nor of loans. */
  readonly #held = new WeakSet<Identity>()
  /** Credentials are never deleted, so this never becomes false again. */
  #isGuarded = false
  #reading: Promise<void> | undefined
  #queued: Promise<void> | undefined
  #readAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #unlisten: (() => Promise<void>) | undefined

  constructor({ db, log, oidc }: { db: Database; log: Log; oidc?: OidcVerifier | undefined }) {
    this.#db = db
    this.#log = log
    this.#oidc = oidc
  }

  async start(direct: Listening): Promise<void> {
    const readAndTell = () => {
      this.refresh().catch((error) => {
        this.#log.debug('credentials could not be read', { reason: describeError(error) })
      })
    }
    const { unlisten } = await direct.listen(accessChannel, readAndTell, readAndTell)
    this.#unlisten = unlisten
    await this.refresh()
    this.#timer = setInterval(readAndTell, readEveryMs).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#unlisten?.().catch(() => {})
    await this.#queued?.catch(() => {})
    await this.#reading?.catch(() => {})
  }

  /** Reads all anew, by a read that begins after this call; whoever calls before it begins shares it. */
  refresh(): Promise<void> {
    this.#queued ??= this.#readNext()
    return this.#queued
  }

  /** Whether anything is asked for: there was a token or a user, or there is an issuer of tokens. */
  get isGuarded(): boolean {
    return this.#isGuarded || this.#oidc !== undefined
  }

  /** Who shows this token. Undefined: it is none of ours, or no longer good. */
  async ofToken(token: string): Promise<Identity | undefined> {
    if (!looksLikeToken(token)) return this.#oidc?.verify(token)
    return this.#lent.get(token) ?? (await this.#find('token', token))
  }

  /** Whose session the secret of a cookie stands for. */
  ofSession(secret: string): Promise<Identity | undefined> {
    return this.#find('session', secret)
  }

  /**
   * Calls `end` when the token or session by which somebody was found here is no longer good.
   *
   * @returns what ends that.
   */
  follow(identity: Identity, end: () => void): () => void {
    const follower = { identity, end }
    if (this.#held.has(identity)) this.#followers.add(follower)
    return () => this.#followers.delete(follower)
  }

  /** A token for what this server sends to itself. It is nowhere but in memory. */
  lend(name: string, roles: readonly Role[]): Loan {
    const token = newToken()
    this.#lent.set(token, { name: `server:${name}`, roles })
    return { token, [Symbol.dispose]: () => this.#lent.delete(token) }
  }

  async #find(kind: GrantKind, secret: string): Promise<Identity | undefined> {
    const digest = digestOf(secret)
    const key = keyOf(kind, digest)
    if (!this.#known.has(key)) await this.refresh()
    const known = this.#known.get(key)
    if (known === undefined || performance.now() > known.endsAt) return undefined
    this.#touch(kind, known)
    return known.identity
  }

  async #readNext(): Promise<void> {
    await this.#reading?.catch(() => {})
    await delay(Math.max(0, this.#readAt + betweenReadsMs - performance.now()))
    this.#queued = undefined
    this.#readAt = performance.now()
    this.#reading = this.#read()
    await this.#reading
  }

  async #read(): Promise<void> {
    const { isGuarded, grants } = await readGrants(this.#db, sessionIdleSeconds)
    const readAt = performance.now()
    const known = new Map<string, Known>()
    for (const grant of grants) {
      const key = keyOf(grant.kind, grant.digest)
      const before = this.#known.get(key)
      // The same as before, so that it can be followed, unless it stands for something else now.
      const identity =
        before !== undefined && isSame(before.identity, grant) ? before.identity : identityOf(grant)
      this.#held.add(identity)
      known.set(key, {
        identity,
        digest: grant.digest,
        endsAt: readAt + (grant.endsInMs ?? Number.POSITIVE_INFINITY),
        touchedAt: before?.touchedAt ?? Number.NEGATIVE_INFINITY,
      })
    }
    this.#known = known
    this.#isGuarded ||= isGuarded
    this.#tellFollowers()
  }

  #tellFollowers(): void {
    if (this.#followers.size === 0) return
    const good = new Set([...this.#known.values()].map(({ identity }) => identity))
    for (const follower of this.#followers) {
      if (good.has(follower.identity)) continue
      this.#followers.delete(follower)
      follower.end()
    }
  }

  #touch(kind: GrantKind, known: Known): void {
    const now = performance.now()
    if (now - known.touchedAt < touchedMs) return
    known.touchedAt = now
    const touch = kind === 'token' ? touchToken : touchSession
    touch(this.#db, known.digest).catch((error) => {
      this.#log.debug('the use of a credential was not noted', { reason: describeError(error) })
    })
  }
}

/** A provider may give somebody other roles when he signs in again. */
function isSame(identity: Identity, { roles }: Grant): boolean {
  return identity.roles.join() === roles.filter(isRole).join()
}

function identityOf({ name, roles }: Grant): Identity {
  return { name, roles: roles.filter(isRole) }
}

// By the digest, so what can be learned from how long a look takes is of the digest, not of the secret.
function keyOf(kind: GrantKind, digest: Uint8Array): string {
  return `${kind} ${Buffer.from(digest).toString('hex')}`
}
