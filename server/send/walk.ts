import type { BigIntStats } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** A regular file, or what could not be looked at. */
export type Walked =
  | { path: string; byteLength: number }
  | { path: string; failure: 'unreadable'; reason: string }

/**
 * Walks files and folders, in the order of their names.
 *
 * Symbolic links are followed; a folder is entered once, however many ways lead to it, so a loop ends.
 * Sockets, pipes and devices are passed over.
 */
export async function* walk(
  paths: string[],
  visited = new Set<string>(),
): AsyncGenerator<Walked, void, void> {
  for (const path of paths) {
    let facts: BigIntStats
    let names: string[]
    try {
      facts = await stat(path, { bigint: true })
      if (facts.isFile()) {
        yield { path, byteLength: Number(facts.size) }
        continue
      }
      const identity = `${facts.dev}:${facts.ino}`
      if (!facts.isDirectory() || visited.has(identity)) continue
      visited.add(identity)
      names = await readdir(path)
    } catch (error) {
      yield { path, failure: 'unreadable', reason: codeOf(error) }
      continue
    }
    names.sort()
    for (const name of names) yield* walk([join(path, name)], visited)
  }
}

/** `EACCES` and the like: enough to say what is wrong. */
export function codeOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  return code ?? (error instanceof Error ? error.name : 'unknown error')
}
