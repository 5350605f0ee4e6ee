/**
 * End-to-end tests that are run once, under Node with the embedded Postgres. Under another runtime or with another Postgres they
 * would do the same again: of the time of all, these pages take a fourth, what Postgres decides by itself a twentieth, and what is
 * aside from the database two fifths.
 */

/**
 * Pages in a browser: their HTML comes from one source, which has no runtime in it. `page-prefix` and `page-servers` go all the way
 * elsewhere, too: a page that is live, leads on, acts, uploads and comes back.
 */
const pages = ['demo', 'page', 'page-study', 'page-ways']

/** What is decided by functions of Postgres, after so long a wait that it takes its time. */
const decidedByDatabase = ['stability-away', 'stability-storm']

/** What ends before the database, or behind it: connections, bodies, pictures, files, credentials. */
const asideFromDatabase = [
  'access',
  'capabilities',
  'clients',
  'clients-corpus',
  'cut',
  'deployment',
  'disk-full',
  'failing-calls',
  'hostile',
  'http',
  'kill-many',
  'memory',
  'metadata-memory',
  'senders',
  'sign-in',
  'slow-readers',
  'stop',
  'stow-multipart',
  'tls',
  'wado-*',
]

/** Patterns of the test files to leave out. @param runtime Undefined: Node. @param databaseURL Undefined: the embedded Postgres. */
export function leftOutElsewhere(
  runtime: string | undefined,
  databaseURL: string | undefined,
): string[] {
  const isOtherRuntime = runtime !== undefined && runtime !== 'node'
  return [
    ...(isOtherRuntime || databaseURL !== undefined ? pages : []),
    ...(isOtherRuntime ? decidedByDatabase : []),
    ...(!isOtherRuntime && databaseURL !== undefined ? asideFromDatabase : []),
  ].map((name) => `test/e2e/${name}.test.ts`)
}
