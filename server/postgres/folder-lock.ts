import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import { OperatorError } from '../operator-error.ts'
import { DATA_FOLDER_LOCK } from './advisory-locks.ts'
import type { EmbeddedConnection } from './embedded-types.ts'
import { isAlive } from './postmaster.ts'
import { DATABASE_NAME } from './settings.ts'

/** Another server runs on the data folder. */
export class DataFolderInUseError extends OperatorError {
  override name = 'DataFolderInUseError'
  readonly holderPid: number | undefined

  constructor(dataDir: string, holderPid: number | undefined) {
    const who = holderPid === undefined ? '' : ` (pid ${holderPid})`
    super(
      `Cannot use the data folder ${dataDir}: another Stowage server runs on it${who}; stop that one, or give this one its own STOWAGE_DATA_DIR or a DATABASE_URL`,
    )
    this.holderPid = holderPid
  }
}

/** The lock of a data folder, held by one session of its Postgres. */
export type FolderLock = {
  /** Resolves when the session is gone, and the lock with it. */
  lost: Promise<void>
  release(): Promise<void>
}

/** Milliseconds to wait for a holder who lives: he may be about to stop, but most likely he is not. */
const LIVING_PATIENCE_MS = 1_500

/** Milliseconds to wait for one who does not: Postgres is about to find out, and to give the lock back. */
const DEAD_PATIENCE_MS = 10_000

/** How a session says whose it is, in `application_name`. */
const HOLDER_PREFIX = 'stowage server '

/**
 * Takes the lock of a data folder, and makes the database that everything else uses.
 *
 * The lock is a session advisory lock: Postgres gives it back when the holder's connection ends, however that happens.
 * The session says in its `application_name` who holds it.
 *
 * @throws {DataFolderInUseError} Somebody else holds it, and still did after some seconds.
 */
export async function takeDataFolder(
  connection: EmbeddedConnection,
  dataDir: string,
): Promise<FolderLock> {
  let announceLoss: () => void = () => {}
  const lost = new Promise<void>((resolve) => {
    announceLoss = resolve
  })
  const session = postgres({
    ...connection,
    // A database that is always there; advisory locks of different databases do not see each other.
    database: 'postgres',
    max: 1,
    // Neither idle nor old age may end the session (postgres.js gives connections half an hour to an hour).
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: 10,
    fetch_types: false,
    onnotice: () => {},
    onclose: () => announceLoss(),
    connection: { application_name: `${HOLDER_PREFIX}${process.pid}` },
  })
  const release = () => session.end({ timeout: 1 })
  try {
    await waitForLock(session, dataDir)
    await createDatabase(session)
    return { lost, release }
  } catch (error) {
    await release()
    throw error
  }
}

async function waitForLock(session: postgres.Sql, dataDir: string): Promise<void> {
  const [ours, guarded] = DATA_FOLDER_LOCK
  const startedAt = Date.now()
  for (;;) {
    const [answer] = await session<{ taken: boolean }[]>`
      select pg_try_advisory_lock(${ours}, ${guarded}) as taken
    `
    if (answer?.taken) return
    const holder = await findHolder(session)
    const patienceMs =
      holder !== undefined && isAlive(holder) ? LIVING_PATIENCE_MS : DEAD_PATIENCE_MS
    if (Date.now() - startedAt > patienceMs) throw new DataFolderInUseError(dataDir, holder)
    await delay(100)
  }
}

/** The process that holds the lock. */
async function findHolder(session: postgres.Sql): Promise<number | undefined> {
  const [ours, guarded] = DATA_FOLDER_LOCK
  const [holder] = await session<{ name: string }[]>`
    select pg_stat_activity.application_name as name
    from pg_locks
    join pg_stat_activity using (pid)
    where pg_locks.locktype = 'advisory'
    and pg_locks.classid = ${ours}
    and pg_locks.objid = ${guarded}
    and pg_locks.granted
  `
  return holder && Number(holder.name.slice(HOLDER_PREFIX.length))
}

async function createDatabase(session: postgres.Sql): Promise<void> {
  const found = await session`
    select 1 from pg_database where datname = ${DATABASE_NAME}
  `
  if (found.length === 0) await session`create database ${session(DATABASE_NAME)}`
}
