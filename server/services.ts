import { setAuditRetention } from '../db/audit.ts'
import { releaseOtherClaims } from '../db/commitments.ts'
import { openDatabase } from '../db/database.ts'
import { connectionsBeside, oneConnectionBeside } from '../db/own-connections.ts'
import { knowsSegments } from '../db/shared-segments.ts'
import { setDefaultQuietSeconds } from '../db/stability.ts'
import { Credentials } from './access/credentials.ts'
import type { OidcVerifier } from './access/oidc.ts'
import type { OidcSignIn } from './access/oidc-sign-in.ts'
import { isLoopback } from './access/open-door.ts'
import type { AppDeps } from './app.ts'
import { Audit } from './audit/audit.ts'
import { recordTransfer } from './audit/record-transfer.ts'
import { Retention } from './changes/retention.ts'
import { Committer } from './commitment/committer.ts'
import { PeerAsker } from './completeness/peer-asker.ts'
import type { Config } from './config.ts'
import { Compactor } from './deletion/compactor.ts'
import { Demonstration } from './demo/demonstration.ts'
import { Intake } from './intake/intake.ts'
import { LiveHub } from './live/live-hub.ts'
import { describeError, type Log } from './log.ts'
import { Metrics } from './metrics/metrics.ts'
import { Refusals } from './overload.ts'
import { WorkerPool } from './pixels/worker-pool.ts'
import type { Sql } from './postgres/connect.ts'
import { Scheduler } from './stability/scheduler.ts'
import { fileStore } from './store/file-store.ts'
import type { Tracing } from './trace.ts'
import { Scrubber } from './verification/scrubber.ts'
import { Deliverer } from './webhooks/deliverer.ts'
import { retryDelaysMs } from './webhooks/retries.ts'

/** Rows that are staged in one statement: some 300 KB of JSON. */
const batchRows = 500

/** After which an idle connection of the intake is closed. */
const intakeIdleSeconds = 300

/**
 * Bytes that a transfer may bring before it gets a segment of its own, and all such transfers together: a
 * request of ten CT slices stays below, so does fifty times a small document.
 */
const heldLimits = { bytesOfOne: 1024 * 1024, bytesOfAll: 16 * 1024 * 1024 }

/** Commitment requests that a server works on at once: each has some 12 MiB in memory. */
const commitmentsAtOnce = 4

/** A segment that was verified in the last week is left alone, however few there are. */
const verifyAgainSeconds = 7 * 24 * 3600

/** Deliveries of one webhook at once, and how many of them may be such that failed before. */
const deliveryLimits = { atOnce: 16, retriesAtOnce: 8 }

/** Beyond the time limit of an attempt: what a server may take to say how it ended. */
const deliveryLeaseMs = 15_000

/** What an app stands on, running. Disposing lets open transfers finish for a while, then aborts them. */
export type Services = AppDeps & AsyncDisposable & { demonstration: Demonstration }

/** Builds every service once, and starts those that have a life of their own. */
export async function startServices({
  config,
  log,
  tracing,
  sql,
  direct,
  graceMs,
}: {
  config: Config
  log: Log
  tracing: Tracing
  sql: Sql
  /** Connections that no pooler stands before. */
  direct: Sql
  /** Milliseconds that open transfers have to finish at the end. */
  graceMs: number
}): Promise<Services> {
  const db = openDatabase(sql)
  const store = fileStore(config.storeDir)
  const isStoreNew = !(await knowsSegments(db))
  await store.guard(isStoreNew)
  await store.probe().catch((error) => {
    if (isStoreNew) throw error
    // Rows can be read all the same, and the store may come back.
    log.warn('the store cannot be written, and nothing can be stored', {
      folder: config.storeDir,
      error: describeError(error),
    })
  })
  const live = new LiveHub({ db, log })
  const metrics = new Metrics({ db, log })
  const audit = new Audit({ db, log })
  const credentials = new Credentials({ db, log, oidc: await oidcOf(config) })
  const changed = () => {
    live.changed()
    scheduler.wake()
  }
  // Of their own, so that nobody who looks waits behind hundreds of transfers that are being committed.
  const intakeConnections = Math.ceil(sql.options.max / 2)
  const intake = new Intake({
    db: openDatabase(connectionsBeside(sql, intakeConnections, intakeIdleSeconds)),
    groupsDB: openDatabase(oneConnectionBeside(sql, intakeIdleSeconds)),
    store,
    log,
    changed,
    ended(transfer) {
      metrics.ended(transfer)
      recordTransfer(audit, transfer)
    },
    limits: {
      transfers: config.maxTransfers,
      uncommittedBytes: config.maxUncommittedBytes,
      leaseMs: config.leaseMs,
      partBytes: config.maxPartBytes,
      segmentBytes: config.segmentBytes,
      batchRows,
      held: heldLimits,
      instance: {},
    },
  })
  const scheduler = new Scheduler({
    db,
    log,
    tracing,
    untoldStudies: () => intake.untoldStudies,
    settled: (seconds) => metrics.settled(seconds),
    changed: () => live.changed(),
  })
  const retention = new Retention({ db, log, keepMs: config.keepChangesMs })
  const webhooks = { isPrivateAllowed: config.webhookPrivateAddresses === 'on' }
  const deliverer = new Deliverer({
    db,
    log,
    tracing,
    limits: {
      ...webhooks,
      ...deliveryLimits,
      timeoutMs: config.webhookTimeoutMs,
      leaseMs: config.webhookTimeoutMs + deliveryLeaseMs,
      retryDelaysMs,
    },
  })
  const peerAsker = new PeerAsker({
    db,
    log,
    peer:
      config.peerURL === undefined
        ? undefined
        : { url: config.peerURL, token: config.peerToken, timeoutMs: config.peerTimeoutMs },
    changed: () => live.changed(),
  })
  const compactor = new Compactor({
    db,
    store,
    log,
    leaseMs: config.leaseMs,
    keepTransfersDays: config.keepTransfersDays,
  })
  const { serverID } = intake
  const { leaseMs } = config
  const committer = new Committer({
    db,
    store,
    log,
    serverID,
    changed,
    limits: {
      atOnce: commitmentsAtOnce,
      leaseMs,
      keptSeconds: config.commitmentKeptMs / 1000,
    },
  })
  const scrubber = new Scrubber({
    db,
    store,
    log,
    serverID,
    changed,
    limits: {
      bytesPerSecond: config.verifyBytesPerSecond,
      againSeconds: verifyAgainSeconds,
      leaseMs,
    },
  })
  if (config.keepAuditDays !== undefined) await setAuditRetention(db, config.keepAuditDays || null)
  if (config.quietMs !== undefined) await setDefaultQuietSeconds(db, config.quietMs / 1000)
  // An embedded Postgres serves this process alone, so whatever is open in it is left over.
  const isAlone = config.databaseURL === undefined
  await intake.start(isAlone)
  if (isAlone) await releaseOtherClaims(db, serverID)
  try {
    await live.start(direct)
    await credentials.start(direct)
    live.subscribe(() => {
      scheduler.wake()
      deliverer.wake()
      peerAsker.wake()
      committer.wake()
    })
    scheduler.start()
    retention.start()
    deliverer.start()
    peerAsker.start()
    await compactor.start(isAlone)
    committer.start()
    scrubber.start()
  } catch (error) {
    await intake.stop(0)
    throw error
  }
  const codecs = new WorkerPool()
  const demonstration = new Demonstration(log, () => credentials.lend('demo', ['sender', 'reader']))
  return {
    db,
    store,
    storeDir: config.storeDir,
    viewerURL: config.viewerURL,
    codecs,
    demonstration,
    live,
    metrics,
    refusals: new Refusals({ log, metrics }),
    audit,
    tracing,
    credentials,
    oidcSignIn: await oidcSignInOf(config),
    committer,
    commitmentWaitBytes: config.commitmentWaitBytes,
    changed,
    wake: () => scheduler.wake(),
    deleted() {
      live.changed()
      scheduler.wake()
      compactor.wake()
    },
    intake,
    log,
    handling: config.handling,
    webhooks,
    peerAsker,
    limits: {
      requestBytes: config.maxRequestBytes,
      inflateRatio: config.maxInflateRatio,
      parts: config.maxParts,
      partBytes: config.maxPartBytes,
      requests: config.maxRequests,
      idleMs: config.idleMs,
      leastBytesPerSecond: config.leastBytesPerSecond,
    },
    baseURLPolicy: config,
    names: namesOf(config),
    async [Symbol.asyncDispose]() {
      await scrubber.stop()
      await intake.stop(graceMs)
      await committer.stop()
      await scheduler.stop()
      await retention.stop()
      await compactor.stop()
      await deliverer.stop()
      await peerAsker.stop()
      await credentials.stop()
      await live.stop()
      await codecs[Symbol.asyncDispose]()
    },
  }
}

// The libraries for providers are loaded only where there is one: a start takes long enough without them.
async function oidcOf(config: Config): Promise<OidcVerifier | undefined> {
  const { oidcIssuer: issuer, oidcAudience: audience, oidcRolesClaim: rolesClaim } = config
  if (issuer === undefined) return undefined
  const { OidcVerifier } = await import('./access/oidc.ts')
  return new OidcVerifier({ issuer, audience, rolesClaim })
}

async function oidcSignInOf(config: Config): Promise<OidcSignIn | undefined> {
  const { oidcIssuer: issuer, oidcClientID: clientID, oidcRolesClaim: rolesClaim } = config
  if (issuer === undefined || clientID === undefined) return undefined
  const { oidcClientSecret: clientSecret, oidcScope: scope } = config
  const { OidcSignIn } = await import('./access/oidc-sign-in.ts')
  return new OidcSignIn({ issuer, rolesClaim, clientID, clientSecret, scope })
}

/** Names that lead to a server on the loopback address; undefined: it listens elsewhere. */
function namesOf({ host, names, baseURL }: Config): string[] | undefined {
  if (!isLoopback(host)) return undefined
  return baseURL === undefined ? names : [...names, new URL(baseURL).hostname]
}
