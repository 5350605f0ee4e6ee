import { type ChildProcess, execFile } from 'node:child_process'
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

/** What a server has used since it was started. Linux only. */
export interface Usage {
  /** Of all its processes, those of its Postgres and those that have ended among them. */
  cpuMs: number
  /** Of that, what its Postgres used. */
  postgresCPUMs: number
  /** The most memory that it ever held (VmHWM), without its Postgres. */
  peakBytes: number
}

/** /proc counts in ticks of 1/100 s on every Linux that people run. */
const tickMs = 10

/**
 * Sums over processes and all that came from them.
 *
 * @returns undefined where there is no /proc.
 */
export function usageOf(pids: number[]): Usage | undefined {
  if (process.platform !== 'linux') return undefined
  let cpuMs = 0
  let postgresCPUMs = 0
  let peakBytes = 0
  for (const { pid, name, ticks } of familyOf(pids)) {
    cpuMs += ticks * tickMs
    if (name === 'postgres') postgresCPUMs += ticks * tickMs
    else peakBytes += peakOf(pid)
  }
  return { cpuMs, postgresCPUMs, peakBytes }
}

interface ProcessEntry {
  pid: number
  parent: number
  name: string
  /** User and system time, with that of children that ended and were waited for. */
  ticks: number
}

function familyOf(pids: number[]): ProcessEntry[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => readEntry(Number(pid)) ?? [])
  const family = new Set(pids)
  // A child may have a smaller number than its parent, so once through the list is not enough.
  for (let size = 0; size !== family.size; ) {
    size = family.size
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid)
  }
  return all.filter(({ pid }) => family.has(pid))
}

/** proc(5), /proc/pid/stat: the name stands in parentheses and may hold anything. */
function readEntry(pid: number): ProcessEntry | undefined {
  const text = readOrNothing(`/proc/${pid}/stat`)
  const [, name, rest] = /^\d+ \((.*)\) (.*)$/s.exec(text) ?? []
  if (name === undefined || rest === undefined) return undefined
  const fields = rest.split(' ').map(Number)
  const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0)
  return { pid, name, parent: fields[1] ?? 0, ticks }
}

function peakOf(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(readOrNothing(`/proc/${pid}/status`)) ?? []
  return Number(kilobytes ?? 0) * 1024
}

/** The process may be gone by now. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** The path of a program, as a shell would find it. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** What a program says to a question like `--version`, first line; undefined when it cannot be run. */
export async function ask(program: string, ...args: string[]): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, args)
    return stdout.trim().split('\n')[0]
  } catch {
    return undefined
  }
}

/** Waits until what others wrote is on the disk, so that the next one measured does not pay for it. */
export async function settle(): Promise<void> {
  if (process.platform !== 'win32') await ask('sync')
}

/** Keeps the end of what a process says, for the sentence about its failure. */
export function lastWordsOf(child: ChildProcess): () => string {
  let text = ''
  const keep = (chunk: Buffer) => {
    text = (text + chunk).slice(-4000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  return () => text.trim()
}

/**
 * Asks a URL until it answers 200.
 *
 * @throws {Error} The process ended, or a minute went by; with what it said.
 */
export async function untilReady(
  url: string,
  child: ChildProcess,
  lastWords: () => string,
): Promise<void> {
  for (const giveUpAt = Date.now() + 60_000; ; ) {
    if (!isRunning(child)) throw new Error(`The server ended at its start:\n${lastWords()}`)
    const answer = await fetch(url).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer?.status === 200) return
    if (Date.now() > giveUpAt) throw new Error(`No answer from ${url}:\n${lastWords()}`)
    await delay(10)
  }
}

/** Tells a process to end; kills it when that takes too long. */
export async function end(
  child: ChildProcess,
  signal: NodeJS.Signals,
  patienceMs = 45_000,
): Promise<void> {
  if (!isRunning(child)) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill(signal)
  const clock = new AbortController()
  const late = delay(patienceMs, undefined, { signal: clock.signal }).then(
    () => child.kill('SIGKILL'),
    () => {},
  )
  await Promise.race([ended, late])
  clock.abort()
  await ended
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null && child.pid !== undefined
}
