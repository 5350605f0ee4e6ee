import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatorError } from '../operator-error.ts'

/** In the data folder: where the rows of its embedded Postgres went. */
const MOVED_FILE = 'postgres.moved'

/** The rows of this data folder are in another Postgres now: using these would make two archives of one. */
export class DatabaseMovedError extends OperatorError {
  override name = 'DatabaseMovedError'
}

/** @param where For people, without a password. */
export async function markMoved(dataDir: string, where: string, at: Date): Promise<void> {
  const text = `${where} at ${at.toISOString()}\n`
  await writeFile(join(dataDir, MOVED_FILE), text, { flush: true })
}

/** @throws {DatabaseMovedError} */
export async function refuseMoved(dataDir: string): Promise<void> {
  const path = join(dataDir, MOVED_FILE)
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return
  throw new DatabaseMovedError(
    `Cannot use the database in ${dataDir}: its rows were moved to ${text.trim()}; set DATABASE_URL, or delete ${path} to go back to how it was then`,
  )
}
