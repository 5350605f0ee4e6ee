import postgres from 'postgres'
import { DATA_FOLDER_LOCK } from './advisory-locks.ts'
import type { ClusterPlace } from './cluster.ts'
import { findDoor } from './door.ts'
import type { EmbeddedConnection } from './embedded-types.ts'
import { adoptPostmaster } from './postmaster.ts'
import { DATABASE_NAME, DATABASE_USER } from './settings.ts'

/** How to reach the Postgres of a data folder, if it runs and a server holds the folder's lock. */
export async function findServersPostgres(
  place: ClusterPlace,
): Promise<EmbeddedConnection | undefined> {
  const door = (await adoptPostmaster(place)) && (await findDoor(place))
  if (!door) return undefined
  const connection: EmbeddedConnection = {
    port: door.port,
    database: DATABASE_NAME,
    username: DATABASE_USER,
    ...(door.kind === 'socket'
      ? { host: door.folder }
      : { host: '127.0.0.1', password: door.password }),
  }
  // The lock is taken in this database: advisory locks of different databases do not see each other.
  const session = postgres({ ...connection, database: 'postgres', max: 1, onnotice: () => {} })
  const [ours, guarded] = DATA_FOLDER_LOCK
  try {
    const holders = await session`
      select 1
      from pg_locks
      where locktype = 'advisory'
      and classid = ${ours}
      and objid = ${guarded}
      and granted`
    return holders.length > 0 ? connection : undefined
  } catch {
    // It starts or stops at this moment, or is nobody's: whoever starts Postgres finds out.
    return undefined
  } finally {
    await session.end({ timeout: 1 })
  }
}
