import { Hono } from 'hono'
import type { Database } from '../db/database.ts'
import { PoolWatch } from '../db/pool-watch.ts'
import type { Handling } from '../db/transfers.ts'
import type { Credentials } from './access/credentials.ts'
import { gate } from './access/gate.ts'
import { loginRoutes } from './access/login-routes.ts'
import { oidcRoutes } from './access/oidc-routes.ts'
import type { OidcSignIn } from './access/oidc-sign-in.ts'
import { adminRoutes } from './admin/routes.tsx'
import { ShellReader } from './admin/shell.ts'
import type { Audit } from './audit/audit.ts'
import { recordRequests } from './audit/record-requests.ts'
import { auditRoutes } from './audit/routes.ts'
import { capabilitiesRoutes } from './capabilities/routes.ts'
import { orthancRoutes } from './changes/orthanc.ts'
import { changesRoutes } from './changes/routes.ts'
import { commitmentApiRoutes } from './commitment/api.ts'
import type { Committer } from './commitment/committer.ts'
import { commitmentRoutes } from './commitment/routes.ts'
import type { PeerAsker } from './completeness/peer-asker.ts'
import { completenessRoutes } from './completeness/routes.ts'
import { deleteRoutes, deletionRoutes } from './deletion/routes.ts'
import type { Demonstration } from './demo/demonstration.ts'
import { demoRoutes } from './demo/routes.ts'
import { overloadOf, toProblem } from './errors.ts'
import { type BaseURLPolicy, baseURLOf, clientAddressOf } from './http/base-url.ts'
import type { BodyLimits } from './http/body.ts'
import type { AppEnv } from './http/env.ts'
import { HttpProblem } from './http/problem.ts'
import type { Intake } from './intake/intake.ts'
import type { LiveHub } from './live/live-hub.ts'
import { describeError, type Log } from './log.ts'
import type { Metrics } from './metrics/metrics.ts'
import { metricsRoutes } from './metrics/routes.ts'
import { observeRequests } from './observe-requests.ts'
import { openAPIRoutes } from './openapi/routes.ts'
import { limitRequests, type Refusals } from './overload.ts'
import type { WorkerPool } from './pixels/worker-pool.ts'
import { qidoRoutes } from './qido/routes.ts'
import { stabilityRoutes } from './stability/routes.ts'
import type { Store } from './store/store.ts'
import { stowRoutes } from './stow/routes.ts'
import type { Tracing } from './trace.ts'
import { uploadRoutes } from './upload/routes.tsx'
import { verificationRoutes } from './verification/routes.ts'
import { StudyVerifier } from './verification/study-verifier.ts'
import { wadoRoutes } from './wado/routes.ts'
import { type WebhookPolicy, webhookRoutes } from './webhooks/routes.ts'

export interface AppDeps {
  db: Database
  store: Store
  /** Where the segments are. */
  storeDir: string
  codecs: WorkerPool
  intake: Intake
  credentials: Credentials
  /** Undefined: nobody signs in through a provider. */
  oidcSignIn?: OidcSignIn | undefined
  live: LiveHub
  metrics: Metrics
  audit: Audit
  tracing: Tracing
  committer: Committer
  /** Makes the scheduler look at once. */
  wake(): void
  /** Something was deleted. */
  deleted(): void
  /** Something changed that pages, schedulers and committers of all servers look at. */
  changed(): void
  demonstration: Pick<Demonstration, 'start'>
  log: Log
  /** Told of every request that was refused because there is too much to do. */
  refusals: Refusals
  /** `requests`: worked on at once, beside transfers. */
  limits: BodyLimits & { parts: number; partBytes: number; requests: number }
  handling: Handling
  /** Bytes of the instances of a commitment request up to which it is answered at once. */
  commitmentWaitBytes: number
  webhooks: WebhookPolicy
  peerAsker: Pick<PeerAsker, 'ask' | 'isConfigured'>
  baseURLPolicy: BaseURLPolicy
  /** See `gate`. */
  names: readonly string[] | undefined
  /** Address of a viewer, with `{StudyInstanceUID}` in it. */
  viewerURL: string | undefined
}

/** What browsers are told with every answer. Written out: Hono's middleware takes longer to find out what is always the same. */
const securityHeaders = Object.entries({
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'self'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'SAMEORIGIN',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
})

/** Browsers come back over TLS alone, for a year. */
const strictTransportSecurity = ['strict-transport-security', 'max-age=31536000'] as const

/** The only place where rooms meet: which path leads to which of them, and what an error becomes. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.use(observeRequests(deps))
  app.use(async (c, next) => {
    const { url, path, raw } = c.req
    const baseURL = baseURLOf(raw, c.env?.address, deps.baseURLPolicy)
    c.set('baseURL', baseURL)
    // From here on it is the sender's, and not that of a proxy.
    if (c.env) c.env.address = clientAddressOf(raw.headers, c.env.address, deps.baseURLPolicy)
    // No name of ours has one, and Postgres takes none. Searches say by themselves which key has it. (QI-S6)
    const isSearch = path.startsWith('/dicom-web/') && !path.includes('\0')
    const isWithNUL = url.includes('%00') && !isSearch
    if (isWithNUL) c.res = withNUL().toResponse()
    else await next()
    const { headers } = c.res
    for (const [name, value] of securityHeaders) headers.set(name, value)
    // RFC 6797 7.2: not over plain HTTP, where anybody could have written it.
    if (!isWithNUL && baseURL.startsWith('https:')) headers.set(...strictTransportSecurity)
  })

  app.use(limitRequests(new PoolWatch(deps.db.sql), deps.limits.requests))
  app.use(recordRequests(deps.audit))
  const shell = new ShellReader(deps)
  app.use(gate(deps.credentials, (c) => shell.read(c), deps.names))
  app.route('/', loginRoutes(deps))
  app.route('/', oidcRoutes(deps))

  const dicomWeb = new Hono<AppEnv>()
    .route('/', stowRoutes(deps))
    .route('/', qidoRoutes(deps))
    .route('/', wadoRoutes(deps))
    .route('/', deleteRoutes(deps))
    .route('/', commitmentRoutes(deps))
  app.route('/dicom-web', dicomWeb)
  app.route('/', capabilitiesRoutes(dicomWeb))
  app.route('/', uploadRoutes({ ...deps, shell }))
  app.route('/api', changesRoutes(deps))
  app.route('/', orthancRoutes(deps))
  app.route('/api', stabilityRoutes(deps))
  app.route('/api', completenessRoutes(deps))
  app.route('/api', deletionRoutes(deps))
  app.route('/api', webhookRoutes(deps))
  app.route('/api', demoRoutes(deps))
  app.route('/api', openAPIRoutes())
  app.route('/api', auditRoutes(deps))
  app.route('/', metricsRoutes(deps))
  app.route('/api', commitmentApiRoutes(deps))
  const verifier = new StudyVerifier(deps)
  app.route('/api', verificationRoutes({ db: deps.db, verifier }))
  app.route('/', adminRoutes({ ...deps, shell, verifier }))

  app.notFound((c) => {
    const { path } = c.req
    const allowed = path === '/*' ? methodsOf(app) : methodsAt(app, path)
    if (allowed.length === 0) {
      return new HttpProblem(404, 'There is nothing at this path').toResponse()
    }
    // RFC 9110 9.3.7: what can be done here, also where there is no more to tell.
    if (c.req.method === 'OPTIONS') {
      return new Response(null, { status: 204, headers: { allow: allowed.join(', ') } })
    }
    return notAllowed(allowed.join(', '))
  })
  app.onError((error, c) => {
    const { signal } = c.req.raw
    // Nobody gets this answer, and nothing is wrong.
    if (signal.aborted && error === signal.reason) {
      return new HttpProblem(400, 'The client has left').toResponse()
    }
    const problem = toProblem(error)
    const overload = overloadOf(error)
    if (overload !== undefined) deps.refusals.note(overload)
    if (problem !== undefined && (problem.status < 500 || overload !== undefined)) {
      return problem.toResponse()
    }
    const reference = c.get('requestID')
    deps.log.error('a request failed', {
      request: reference,
      transfer: c.get('transferID'),
      method: c.req.method,
      path: c.req.routePath,
      status: problem?.status ?? 500,
      error: describeError(error),
    })
    return (
      problem ??
      new HttpProblem(
        500,
        'Something is wrong in the server; its log has more under the reference',
        {
          members: { reference },
        },
      )
    ).toResponse()
  })
  return app
}

/**
 * What can be done at a path. PS3.18 8.5: a method that a resource does not have is 405, with those it has
 * in Allow; a path without any is 404. (ST-R3)
 */
function methodsAt(app: Hono<AppEnv>, path: string): string[] {
  return ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
    .filter((method) =>
      app.router.match(method, path)[0].some(([[, route]]) => route.method === method),
    )
    .flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
}

/** What can be done at any path: the answer to `OPTIONS *`. */
function methodsOf(app: Hono<AppEnv>): string[] {
  const methods = new Set(app.routes.map(({ method }) => method).filter((name) => name !== 'ALL'))
  return [...methods, 'HEAD'].sort()
}

function withNUL(): HttpProblem {
  return new HttpProblem(400, 'Cannot read the address: it has a NUL (%00)')
}

function notAllowed(allow: string): Response {
  return new HttpProblem(405, `Only ${allow} are possible here`, {
    headers: { allow },
  }).toResponse()
}
