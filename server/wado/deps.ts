import type { Database } from '../../db/database.ts'
import type { InstanceLookup } from '../../db/instance-lookup.ts'
import type { Log } from '../log.ts'
import type { WorkerPool } from '../pixels/worker-pool.ts'
import type { Store } from '../store/store.ts'

export interface WadoDeps {
  db: Database
  lookup: InstanceLookup
  store: Store
  codecs: WorkerPool
  log: Log
}
