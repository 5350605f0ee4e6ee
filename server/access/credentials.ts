import { Buffer } from 'node:buffer'
import { timingSafeEqual } from 'node:crypto'
import {
  accessChannel,
  findSession,
  findToken,
  type Grant,
  hasCredentials,
  touchSession,
  touchToken,
} from '../../db/access.ts'
import type { Database } from '../../db/database.ts'
import { type Identity, isRole } from '../http/identity.ts'
import { describeError, type Log } from '../log.ts'
import type { OidcVerifier } from './oidc.ts'
import { digestOf, looksLikeToken } from './secrets.ts'

/** Milliseconds for which a server believes what it read, should it not hear of a change. */
const believedMs = 5_000

/** Milliseconds between two notes of a use. */
const touchedMs = 60_000

/** Grants that are remembered, good ones and bad ones. */
const rememberedAtMost = 10_000

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

interface Remembered {
  grant: Grant | undefined
  until: number
}

/**
 * Who a token or a session stands for, as the database says.
 *
 * What was read is remembered, so that a request costs a digest and no query. Every change of credentials is
 * notified, and makes each server forget all of it; so does each (re)connection of LISTEN. Nothing depends on a notice
 * arriving: what is remembered is good for seconds.
 */
export class Credentials {
  readonly #db: Database
  readonly #log: Log
  readonly #oidc: OidcVerifier | undefined
  readonly #remembered = new Map<string, Remembered>()
  readonly #touchedAt = new Map<string, number>()
  /** Counts notices: what was being read while one came is not remembered. */
  #epoch = 0
  /** Credentials are never deleted, so this never becomes false again. */
  #isGuarded = false
  #guardReadAt = Number.NEGATIVE_INFINITY
  #unlisten: (() => Promise<void>) | undefined

  constructor({ db, log, oidc }: { db: Database; log: Log; oidc?: OidcVerifier | undefined }) {
    this.#db = db
    this.#log = log
    this.#oidc = oidc
  }

  async start(direct: Listening): Promise<void> {
    const forget = () => this.forget()
    const { unlisten } = await direct.listen(accessChannel, forget, forget)
    this.#unlisten = unlisten
  }

  async stop(): Promise<void> {
    await this.#unlisten?.().catch(() => {})
  }

  /** Reads everything anew from now on. */
  forget(): void {
    this.#epoch++
    this.#remembered.clear()
    this.#guardReadAt = Number.NEGATIVE_INFINITY
  }

  /** Whether anything is asked for: there is a token, a user, or an issuer of tokens. */
  async isGuarded(): Promise<boolean> {
    if (this.#isGuarded || this.#oidc !== undefined) return true
    if (performance.now() - this.#guardReadAt > believedMs) {
      const epoch = this.#epoch
      this.#isGuarded = await hasCredentials(this.#db)
      if (epoch === this.#epoch) this.#guardReadAt = performance.now()
    }
    return this.#isGuarded
  }

  /** Who shows this token. Undefined: it is none of ours, or no longer good. */
  async ofToken(token: string): Promise<Identity | undefined> {
    if (!looksLikeToken(token)) return this.#oidc?.verify(token)
    const digest = digestOf(token)
    const grant = await this.#grantOf(`token ${hex(digest)}`, async () => {
      const found = await findToken(this.#db, digest)
      return found && timingSafeEqual(found.digest, digest) ? found : undefined
    })
    if (grant !== undefined) this.#touch(hex(digest), () => touchToken(this.#db, digest))
    return identityOf(grant)
  }

  /** Whose session the secret of a cookie stands for. */
  async ofSession(secret: string): Promise<Identity | undefined> {
    const digest = digestOf(secret)
    const grant = await this.#grantOf(`session ${hex(digest)}`, () =>
      findSession(this.#db, digest, sessionIdleSeconds),
    )
    if (grant !== undefined) this.#touch(hex(digest), () => touchSession(this.#db, digest))
    return identityOf(grant)
  }

  async #grantOf(key: string, read: () => Promise<Grant | undefined>): Promise<Grant | undefined> {
    const known = this.#remembered.get(key)
    if (known !== undefined && performance.now() < known.until) return unexpired(known.grant)
    const epoch = this.#epoch
    const grant = await read()
    if (epoch === this.#epoch) {
      if (this.#remembered.size >= rememberedAtMost) this.#remembered.clear()
      this.#remembered.set(key, { grant, until: performance.now() + believedMs })
    }
    return grant
  }

  #touch(key: string, write: () => Promise<void>): void {
    const now = performance.now()
    if (now - (this.#touchedAt.get(key) ?? Number.NEGATIVE_INFINITY) < touchedMs) return
    if (this.#touchedAt.size >= rememberedAtMost) this.#touchedAt.clear()
    this.#touchedAt.set(key, now)
    write().catch((error) => {
      this.#log.debug('the use of a credential was not noted', { reason: describeError(error) })
    })
  }
}

function unexpired(grant: Grant | undefined): Grant | undefined {
  const isOver = typeof grant?.expiresAtMs === 'number' && grant.expiresAtMs <= Date.now()
  return isOver ? undefined : grant
}

function identityOf(grant: Grant | undefined): Identity | undefined {
  return grant && { name: grant.name, roles: grant.roles.filter(isRole) }
}

function hex(digest: Uint8Array): string {
  return Buffer.from(digest).toString('hex')
}
