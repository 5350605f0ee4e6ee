import { randomUUID } from 'node:crypto'
import type { Hono } from 'hono'
import { Credentials } from '../../server/access/credentials.ts'
import type { OidcSignIn } from '../../server/access/oidc-sign-in.ts'
import { createApp } from '../../server/app.ts'
import { Audit } from '../../server/audit/audit.ts'
import { recordTransfer } from '../../server/audit/record-transfer.ts'
import { Committer } from '../../server/commitment/committer.ts'
import { PeerAsker } from '../../server/completeness/peer-asker.ts'
import { Demonstration } from '../../server/demo/demonstration.ts'
import type { AppEnv } from '../../server/http/env.ts'
import type { IntakeLimits } from '../../server/intake/intake.ts'
import { LiveHub } from '../../server/live/live-hub.ts'
import { createLog } from '../../server/log.ts'
import { Metrics } from '../../server/metrics/metrics.ts'
import { Refusals } from '../../server/overload.ts'
import { WorkerPool } from '../../server/pixels/worker-pool.ts'
import type { Store } from '../../server/store/store.ts'
import { noTracing } from '../../server/trace.ts'
import { type TestIntake, testIntake } from '../support/intake.ts'

export interface TestApp extends TestIntake {
  app: Hono<AppEnv>
  live: LiveHub
  credentials: Credentials
  audit: Audit
  /** Every line of the log, joined. */
  log(): string
}

/** Where a link of a page leads to: from the root of the page, as its `<base>` says. */
export function placeOfLink(link: string): string {
  return pathOf(new URL(link, 'http://localhost/'))
}

/** The address that an answer leads to, and what the page there says was done: `/studies/1.2 done=settle`. */
export function toldAt(path: string, answer: Response): string {
  const cookie = /^done=([^;]+);/.exec(answer.headers.get('set-cookie') ?? '')?.[1] ?? ''
  return `${placeLedTo(path, answer)} ${decodeURIComponent(cookie).split('?')[1]}`
}

/** Where an answer leads to, from the path that was asked for. */
export function placeLedTo(path: string, answer: Response): string {
  return pathOf(new URL(answer.headers.get('location') as string, `http://localhost${path}`))
}

function pathOf({ pathname, search }: URL): string {
  return pathname + search
}

/** The whole application on a database and a store of its own, without a network before it. */
export async function testApp(
  options: {
    parts?: number
    requestBytes?: number
    idleMs?: number
    requests?: number
    store?: Partial<Store>
    names?: string[]
    oidcSignIn?: OidcSignIn
  } = {},
  intakeLimits: Partial<IntakeLimits> = {},
): Promise<TestApp> {
  const base = await testIntake(intakeLimits, (transfer) => recordTransfer(audit, transfer))
  const lines: string[] = []
  const log = createLog('debug', (line) => lines.push(line))
  const credentials = new Credentials({ db: base.db, log })
  await credentials.start(base.db.sql)
  const live = new LiveHub({ db: base.db, log })
  await live.start(base.db.sql)
  const audit = new Audit({ db: base.db, log })
  const codecs = new WorkerPool()
  const store = { ...base.store, ...options.store }
  const committer = new Committer({
    db: base.db,
    store,
    log,
    serverID: randomUUID(),
    changed() {},
    limits: { atOnce: 2, leaseMs: 30_000, keptSeconds: 3600 },
  })
  const demonstration = new Demonstration(log, () => credentials.lend('demo', ['sender', 'reader']))
  // Nobody listens there either.
  demonstration.listensAt('http://127.0.0.1:9')
  const metrics = new Metrics({ db: base.db, log })
  const app = createApp({
    db: base.db,
    storeDir: '.',
    viewerURL: undefined,
    codecs,
    store,
    committer,
    commitmentWaitBytes: 1e9,
    changed() {},
    intake: base.intake,
    credentials,
    oidcSignIn: options.oidcSignIn,
    live,
    metrics,
    refusals: new Refusals({ log, metrics }),
    audit,
    tracing: noTracing,
    // Nobody listens there.
    peerAsker: new PeerAsker({
      db: base.db,
      log,
      peer: { url: 'http://127.0.0.1:9/dicom-web', token: undefined, timeoutMs: 1000 },
      changed() {},
    }),
    wake() {},
    demonstration,
    deleted() {},
    log,
    handling: 'strict',
    webhooks: { isPrivateAllowed: false },
    limits: {
      requestBytes: options.requestBytes ?? 1e9,
      inflateRatio: 100,
      idleMs: options.idleMs ?? 5000,
      parts: options.parts ?? 1000,
      partBytes: 1e9,
      requests: options.requests ?? 1000,
    },
    names: options.names,
    baseURLPolicy: { baseURL: undefined, isTrustedProxy: () => false },
  })
  return {
    ...base,
    app,
    live,
    credentials,
    audit,
    log: () => lines.join('\n'),
    async [Symbol.asyncDispose]() {
      await demonstration.stop()
      await audit.stop()
      await committer.stop()
      await credentials.stop()
      await live.stop()
      await codecs[Symbol.asyncDispose]()
      await base[Symbol.asyncDispose]()
    },
  }
}
