/**
 * End-to-end tests that are run once, under Node with the embedded Postgres. Under another runtime or with another Postgres they
 * would do the same again: of the time of all, these pages take a sixth, and what is aside from the database two fifths.
 */

/** Pages in a browser, beyond those of `page.test.ts`: their HTML comes from one source, which has no runtime in it. */
const pages = ['page-study', 'page-ways', 'page-prefix', 'page-servers']

/** What ends before the database, or behind it: connections, bodies, pictures, files, credentials. */
const asideFromDatabase = [
  'access',
  'capabilities',
  'clients',
  'clients-corpus',
  'cut',
  'demo',
  'deployment',
  'disk-full',
  'failing-calls',
  'hostile',
  'http',
  'kill-many',
  'memory',
  'metadata-memory',
  'page',
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
    ...(!isOtherRuntime && databaseURL !== undefined ? asideFromDatabase : []),
  ].map((name) => `test/e2e/${name}.test.ts`)
}
