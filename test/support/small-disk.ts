import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from './server.ts'

const run = promisify(execFile)

/** A file system in memory that is soon full: `await using disk = await mountSmallDisk(16 * 2 ** 20)`. */
export interface SmallDisk extends AsyncDisposable {
  folder: string
  setWritable(isWritable: boolean): Promise<void>
  /** Takes all space but about so many bytes. Resolves to what gives it back. */
  fill(leaveBytes: number): Promise<() => Promise<void>>
  /** Takes all inodes, so that not even an empty file can be made. */
  fillInodes(): Promise<() => Promise<void>>
}

/** Why a small disk cannot be had here; undefined when it can. */
export async function whyNoSmallDisk(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'a tmpfs is mounted on Linux only'
  if (process.getuid?.() !== 0) return 'only root may mount a tmpfs'
  try {
    await using _ = await mountSmallDisk(2 ** 20)
    return undefined
  } catch (error) {
    return `no tmpfs can be mounted: ${(error as Error).message.trim()}`
  }
}

export async function mountSmallDisk(bytes: number, inodes = 500): Promise<SmallDisk> {
  const folder = await temporaryFolder()
  const options = `size=${bytes},nr_inodes=${inodes},mode=755`
  await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder])
  const ballast = join(folder, 'ballast')
  return {
    folder,
    async setWritable(isWritable) {
      await run('mount', ['-o', `remount,${isWritable ? 'rw' : 'ro'}`, folder])
    },
    async fill(leaveBytes) {
      const { stdout } = await run('df', ['--output=avail', '-B1', folder])
      const free = Number(stdout.split('\n')[1])
      await writeFile(ballast, Buffer.alloc(Math.max(0, free - leaveBytes))).catch((error) => {
        // Somebody else took some of it meanwhile: then there is none left.
        if (error.code !== 'ENOSPC') throw error
      })
      return () => rm(ballast)
    },
    async fillInodes() {
      const made: string[] = []
      try {
        for (;;) {
          const path = `${ballast}-${made.length}`
          await writeFile(path, '')
          made.push(path)
        }
      } catch {
        return async () => void (await Promise.all(made.map((path) => rm(path))))
      }
    },
    async [Symbol.asyncDispose]() {
      await run('umount', ['--lazy', folder])
      await rm(folder, { recursive: true, force: true })
    },
  }
}
