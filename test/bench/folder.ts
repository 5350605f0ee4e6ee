import { chmodSync, statfsSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** `statfs.f_type` of a file system that lies in memory, where a sync costs nothing (linux/magic.h). */
const tmpfsMagic = 0x0102_1994

/** A new folder for the data of servers; the caller removes it. */
export async function makeFolder(parent = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(resolve(parent), 'stowage-bench-'))
  // A Postgres that runs as another user must reach what is in it.
  chmodSync(folder, 0o755)
  if (statfsSync(folder).type === tmpfsMagic) {
    console.error(`${folder} lies in memory: syncs cost nothing there; name a disk with --folder`)
  }
  return folder
}
