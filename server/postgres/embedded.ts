import { ensureCluster, placeCluster } from './cluster.ts'
import { keepPassword } from './door.ts'
import type { EmbeddedOptions, EmbeddedPostgres } from './embedded-types.ts'
import { refuseMoved } from './moved.ts'
import { prepareRuntime } from './runtime.ts'
import { Supervisor } from './supervisor.ts'

/**
 * Runs the Postgres of a data folder: makes it if there is none, adopts it if a killed server left it running, starts
 * it otherwise, and starts it again whenever it dies.
 *
 * Any number of servers may do this at once on one folder: one gets it.
 *
 * @throws {DataFolderInUseError} Another server has this data folder. It is not disturbed.
 * @throws {PostgresStartError}   Postgres does not start; what it said is in the sentence.
 * @throws {DatabaseMovedError}   Its rows are in another Postgres now.
 * @throws {ClusterError | AccountError | RuntimeMissingError | SocketFolderError} Something is missing or in the way,
 *   with what to do about it.
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  await refuseMoved(options.dataDir)
  const place = await placeCluster(options.dataDir, options.log)
  const runtime = await prepareRuntime(place.account, place.copiesFolder, options.packageFolder)
  const passwordFile = await keepPassword(place)
  await ensureCluster(place, runtime, passwordFile)
  const supervisor = new Supervisor(place, runtime, options)
  await supervisor.start()
  return supervisor
}
