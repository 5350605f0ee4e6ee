import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from './server.ts'

/** Why calls to the system cannot be made to fail here; undefined when they can. */
export function whyNoFailingCalls(): string | undefined {
  if (process.platform !== 'linux') return 'calls are made to fail by strace, on Linux only'
  return existsSync('/usr/bin/strace') ? undefined : 'there is no strace'
}

export interface FailingCalls extends AsyncDisposable {
  /** Ends it. @returns how many calls failed */
  end(): Promise<number>
}

/**
 * From now on calls of a process, of all its threads, are not made but fail.
 *
 * @param calls As the kernel names them: `fdatasync,fsync`
 * @param error As errno names it: `EIO`
 * @param when Which of them: `1+1` all, `1+3` each third.
 */
export async function failCalls(
  pid: number,
  calls: string,
  error: string,
  when = '1+1',
): Promise<FailingCalls> {
  const folder = await temporaryFolder()
  const file = join(folder, 'calls')
  const args = ['-f', '-o', file, '-p', String(pid), '-e', `trace=${calls}`]
  const inject = `inject=${calls}:error=${error}:when=${when}`
  const strace = spawn('strace', [...args, '-e', inject], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise<void>((resolve) => strace.on('exit', () => resolve()))
  let said = ''
  // It says so when it has all threads.
  const attached = new Promise<void>((resolve) => {
    strace.stderr.on('data', (chunk) => {
      said += chunk
      if (said.includes('attached')) resolve()
    })
  })
  await Promise.race([attached, ended])
  let count: Promise<number> | undefined
  const end = () => {
    count ??= (async () => {
      strace.kill('SIGINT')
      await ended
      const text = await readFile(file, 'utf8').catch(() => '')
      await rm(folder, { recursive: true })
      return text.split('(INJECTED)').length - 1
    })()
    return count
  }
  return { end, [Symbol.asyncDispose]: async () => void (await end()) }
}
