import {
  bearerToken,
  byteCount,
  days,
  file,
  folder,
  hostNames,
  hostname,
  issuerURL,
  oneOf,
  origin,
  plainText,
  postgresURL,
  proxyTrust,
  type Shape,
  seconds,
  serviceURL,
  viewerTemplate,
  wholeNumber,
} from './config-shapes.ts'
import { LOG_FORMATS, LOG_LEVELS } from './log.ts'

/** One setting: how it is called outside, what it is without being set, what it takes, and what it means. */
export type Setting<T = unknown> = {
  name: string
  /** As somebody would write it. Undefined: nothing, and the meaning says what happens then. */
  fallback: string | undefined
  shape: Shape<T>
  meaning: string
}

/**
 * Every setting of Stowage. The key is its name in `Config`, where units are milliseconds and bytes.
 *
 * `--help` and the table in the README are printed from here.
 */
export const SETTINGS = {
  host: setting('STOWAGE_HOST', '127.0.0.1', hostname, 'Address to listen on; 0.0.0.0 for all'),
  allowAnyone: setting(
    'STOWAGE_ALLOW_ANYONE',
    'off',
    oneOf('on', 'off'),
    'Whether a server without tokens, passwords and an issuer may listen on an address that others reach: everybody there may do everything',
  ),
  oidcIssuer: optional(
    'STOWAGE_OIDC_ISSUER',
    issuerURL,
    'OpenID Connect provider whose tokens are taken, as its "iss" says it. Not set: only tokens that Stowage made',
  ),
  oidcAudience: setting(
    'STOWAGE_OIDC_AUDIENCE',
    'stowage',
    plainText,
    'What "aud" of such a token must name',
  ),
  oidcRolesClaim: setting(
    'STOWAGE_OIDC_ROLES_CLAIM',
    'roles',
    plainText,
    'Where the roles stand in such a token, with dots for what lies deeper, like realm_access.roles',
  ),
  oidcClientID: optional(
    'STOWAGE_OIDC_CLIENT_ID',
    plainText,
    'Name under which the provider knows this server: people can sign in to the page through it then. It leads them back to /login/oidc/callback',
  ),
  oidcClientSecret: optional(
    'STOWAGE_OIDC_CLIENT_SECRET',
    plainText,
    'What the provider gave this server to show for that. Not set: it is a public client, which PKCE alone protects',
  ),
  oidcScope: setting(
    'STOWAGE_OIDC_SCOPE',
    'openid',
    plainText,
    'What is asked of the provider when somebody signs in; some tell roles only with a scope of their own',
  ),
  tlsCertFile: optional(
    'STOWAGE_TLS_CERT_FILE',
    file,
    'Certificate and its chain, as PEM; set with STOWAGE_TLS_KEY_FILE, the server speaks TLS. Read again when it changes',
  ),
  tlsKeyFile: optional('STOWAGE_TLS_KEY_FILE', file, 'Private key of the certificate, as PEM'),
  port: setting(
    'STOWAGE_PORT',
    '8104',
    wholeNumber(0, 65_535),
    'Port to listen on; 0 for a free one',
  ),
  baseURL: optional(
    'STOWAGE_BASE_URL',
    origin,
    'Origin that clients use, with a path prefix if there is one; goes into Retrieve URLs. Not set: taken from the request',
  ),
  names: setting(
    'STOWAGE_NAMES',
    'localhost',
    hostNames,
    'Names under which a server without credentials on a loopback address answers, beside localhost and that of STOWAGE_BASE_URL; separated by commas',
  ),
  isTrustedProxy: setting(
    'STOWAGE_TRUST_PROXY',
    '0',
    proxyTrust,
    'Whose Forwarded and X-Forwarded-* headers are believed: nobody (0), everybody (1), or these addresses and networks',
  ),
  dataDir: setting(
    'STOWAGE_DATA_DIR',
    './data',
    folder,
    'Folder of the embedded Postgres and, unless set otherwise, of the segments',
  ),
  storeDir: optional(
    'STOWAGE_STORE_DIR',
    folder,
    'Folder of the segments, which several servers may share. Not set: segments in the data folder',
  ),
  databaseURL: optional(
    'DATABASE_URL',
    postgresURL,
    'A Postgres 15 or later; several hosts with commas between them: the one that takes writes; `sslmode` and the like as to libpq. Not set: Stowage runs its own in the data folder',
  ),
  databaseDirectURL: optional(
    'DATABASE_DIRECT_URL',
    postgresURL,
    'The way around a pooler, for LISTEN and locks. Setting it turns off prepared statements on DATABASE_URL',
  ),
  databaseConnections: setting(
    'STOWAGE_DATABASE_CONNECTIONS',
    '10',
    wholeNumber(2, 1000),
    'Most connections of the pool to the database; searches and transfers have half as many each of their own beside it',
  ),
  databaseWaitMs: setting(
    'STOWAGE_DATABASE_WAIT_SECONDS',
    '30',
    seconds(0),
    'How long to wait at the start for a database that is not up yet',
  ),
  quietMs: optional(
    'STOWAGE_QUIET_SECONDS',
    seconds(0),
    'Quiet time: how long nothing may arrive before a study, series or patient is stable. Set, it is written to the database at the start, for all servers. Not set: as the database says, which is 60 at first',
  ),
  keepChangesMs: optional(
    'STOWAGE_KEEP_CHANGES_DAYS',
    days,
    'How long changes stay in the feed, once every consumer and webhook is done with them; deletions stay for ever. Not set: all for ever',
  ),
  keepAuditDays: optional(
    'STOWAGE_KEEP_AUDIT_DAYS',
    wholeNumber(0, 36_500),
    'Days for which the audit log is kept; 0 for good. Set, it is written to the database at the start, for all servers. Not set: as the database says, which is for good at first',
  ),
  handling: setting(
    'STOWAGE_HANDLING',
    'strict',
    oneOf('strict', 'lenient'),
    'What becomes of a request with one refused instance: all of it refused (strict), or the good ones stored (lenient); a request may say otherwise with Prefer',
  ),
  maxTransfers: setting(
    'STOWAGE_MAX_TRANSFERS',
    '1000',
    wholeNumber(1, 100_000),
    'Most transfers at once on this server; the next is answered 503. One sender gets at most twice as many as are free: two thirds, if it is alone',
  ),
  maxUncommittedBytes: setting(
    'STOWAGE_MAX_UNCOMMITTED_BYTES',
    '1TiB',
    byteCount(1024),
    'Most bytes that transfers announced or brought and that are not committed, on this server; then, and in the same shares, 503',
  ),
  maxRequests: setting(
    'STOWAGE_MAX_REQUESTS',
    '300',
    wholeNumber(2, 100_000),
    'Most requests at once beside transfers, until their answer begins, on this server; then, and in the same shares by network, 503',
  ),
  maxConnections: setting(
    'STOWAGE_MAX_CONNECTIONS',
    '10000',
    wholeNumber(2, 1_000_000),
    'Most connections of clients, on this server; further ones are closed at once, and those of one network beyond its share',
  ),
  maxRequestBytes: setting(
    'STOWAGE_MAX_REQUEST_BYTES',
    '1TiB',
    byteCount(1024),
    'Largest body of a request, as sent and as decoded',
  ),
  maxInflateRatio: setting(
    'STOWAGE_MAX_INFLATE_RATIO',
    '100',
    wholeNumber(1, 10_000),
    'How many times larger than sent a gzip body may get, beyond its first 64 MiB',
  ),
  maxPartBytes: setting(
    'STOWAGE_MAX_PART_BYTES',
    '64GiB',
    byteCount(1024),
    'Largest instance in a request',
  ),
  maxParts: setting(
    'STOWAGE_MAX_PARTS',
    '100000',
    wholeNumber(1, 10_000_000),
    'Most instances in a request',
  ),
  segmentBytes: setting(
    'STOWAGE_SEGMENT_BYTES',
    '1GiB',
    byteCount(1024 ** 2),
    'Size at which a transfer goes on in a new segment',
  ),
  idleMs: setting(
    'STOWAGE_IDLE_SECONDS',
    '60',
    seconds(1),
    'How long a sender may send nothing in the middle of a request',
  ),
  stopMs: setting(
    'STOWAGE_STOP_SECONDS',
    '30',
    seconds(0),
    'How long requests under way have to finish when the server is told to stop; ten seconds later it ends whatever hangs',
  ),
  leastBytesPerSecond: setting(
    'STOWAGE_LEAST_BYTES_PER_SECOND',
    '1KiB',
    byteCount(0),
    'What a sender has to bring for each second that the server waits for it, judged over STOWAGE_IDLE_SECONDS of such waiting; 0: anything',
  ),
  leaseMs: setting(
    'STOWAGE_LEASE_SECONDS',
    '30',
    seconds(3),
    'How long the transfers of a server that died are kept before another one ends them',
  ),
  keepTransfersDays: setting(
    'STOWAGE_KEEP_TRANSFERS_DAYS',
    '90',
    wholeNumber(0, 36_500),
    'Days for which the records of transfers, their refusals and warnings are kept after their end; 0 for good',
  ),
  commitmentWaitBytes: setting(
    'STOWAGE_COMMITMENT_WAIT_BYTES',
    '64MiB',
    byteCount(0),
    'Bytes of the instances of a storage commitment request up to which it is answered at once; larger ones are answered 202',
  ),
  commitmentKeptMs: setting(
    'STOWAGE_COMMITMENT_KEPT_SECONDS',
    '7776000',
    seconds(60),
    'How long the result of a storage commitment request is kept: 90 days',
  ),
  verifyBytesPerSecond: setting(
    'STOWAGE_VERIFY_BYTES_PER_SECOND',
    '4MiB',
    byteCount(0),
    'Rate at which stored bytes are read again and compared with their digests, of all servers together; 0: never',
  ),
  webhookPrivateAddresses: setting(
    'STOWAGE_WEBHOOK_PRIVATE_ADDRESSES',
    'off',
    oneOf('on', 'off'),
    'Whether webhooks may go to private, loopback and link-local addresses: what can be reached from this server and from nowhere else',
  ),
  webhookTimeoutMs: setting(
    'STOWAGE_WEBHOOK_TIMEOUT_SECONDS',
    '15',
    seconds(0.1, 600),
    'How long the receiver of a webhook has to answer',
  ),
  peerURL: optional(
    'STOWAGE_PEER_URL',
    serviceURL,
    'DICOMweb base of a server that is asked, once for each study that became stable, which instances it has of it',
  ),
  peerToken: optional('STOWAGE_PEER_TOKEN', bearerToken, 'Bearer token for that server'),
  peerTimeoutMs: setting(
    'STOWAGE_PEER_TIMEOUT_SECONDS',
    '30',
    seconds(0.1, 600),
    'How long that server has to answer',
  ),
  warmUp: setting(
    'STOWAGE_WARM_UP',
    'on',
    oneOf('on', 'off'),
    'Whether to practise receiving for half a second of processor time after the start, so that the first study comes in as fast as later ones',
  ),
  viewerURL: optional(
    'STOWAGE_VIEWER_URL',
    viewerTemplate,
    'Address of a viewer, with {StudyInstanceUID} where the study is named; the page of a study leads there. Not set: it does not',
  ),
  logLevel: setting(
    'STOWAGE_LOG_LEVEL',
    'info',
    oneOf(...LOG_LEVELS),
    'Least important entry that is logged',
  ),
  logFormat: setting(
    'STOWAGE_LOG_FORMAT',
    'auto',
    oneOf(...LOG_FORMATS),
    'Whether an entry of the log is a line of text, or of JSON; auto: text on a terminal, else JSON',
  ),
} as const satisfies Record<string, Setting>

function setting<T>(name: string, fallback: string, shape: Shape<T>, meaning: string) {
  return { name, fallback, shape, meaning } satisfies Setting<T>
}

function optional<T>(name: string, shape: Shape<T>, meaning: string) {
  return { name, fallback: undefined, shape, meaning } satisfies Setting<T>
}

/** The settings as lines for a terminal. */
export function renderSettingsHelp(): string {
  return Object.values<Setting>(SETTINGS)
    .map(({ name, fallback, shape, meaning }) => {
      const taken = fallback === undefined ? shape.name : `${shape.name}; default ${fallback}`
      return `  ${name}  (${taken})\n      ${meaning}`
    })
    .join('\n')
}

/** The settings as the Markdown table that the README holds. */
export function renderSettingsTable(): string {
  const rows = Object.values<Setting>(SETTINGS).map(
    ({ name, fallback, shape, meaning }) =>
      `| \`${name}\` | ${fallback === undefined ? '' : `\`${fallback}\``} | ${shape.name} | ${meaning} |`,
  )
  return ['| name | default | takes | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n')
}
