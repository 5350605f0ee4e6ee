import { accountName } from './account.ts'
import type { EmbeddedConnection } from './embedded-types.ts'

const SOCKET_URL =
  /^postgres(?:ql)?:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?(?:localhost)?\/([^?]*)\?(.+)$/

/**
 * Reads a URL of the form that psql takes for a socket, `postgresql://user@/database?host=/folder`, which is neither a
 * URL to the web's parser nor known to postgres.js.
 *
 * @returns Undefined for all other URLs.
 */
export async function parseSocketURL(url: string): Promise<EmbeddedConnection | undefined> {
  const [, user, password, database, query] = SOCKET_URL.exec(url) ?? []
  const parameters = new URLSearchParams(query)
  const folder = parameters.get('host')
  if (!folder?.startsWith('/')) return undefined
  const username = user
    ? decodeURIComponent(user)
    : (parameters.get('user') ?? (await accountName(process.getuid?.() ?? 0)))
  return {
    host: folder,
    port: Number(parameters.get('port') ?? 5432),
    database: decodeURIComponent(database || username),
    username,
    ...(password ? { password: decodeURIComponent(password) } : {}),
  }
}
