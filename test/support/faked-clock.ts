import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from './server.ts'

const architectures: Partial<Record<NodeJS.Architecture, string>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
}

/** Debian's libfaketime; undefined where it is not installed. */
export const faketimeLibrary = [
  `/usr/lib/${architectures[process.arch]}-linux-gnu/faketime/libfaketime.so.1`,
].find((path) => existsSync(path))

/** The wall clock of a process, which a test may set; its monotonic clock goes on, as that of a real host does. */
export interface FakedClock {
  /** For the process. */
  env: Record<string, string>
  /** @param seconds How far from the true time, at once. */
  step(seconds: number): Promise<void>
}

export async function fakedClock(): Promise<FakedClock> {
  const file = join(await temporaryFolder(), 'offset')
  const step = (seconds: number) => writeFile(file, `${seconds < 0 ? '' : '+'}${seconds}s\n`)
  await step(0)
  return {
    env: {
      LD_PRELOAD: faketimeLibrary as string,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    },
    step,
  }
}
