import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'

/** Only the owner: rows name patients, and hold digests of tokens and passwords. */
const fileMode = 0o600
/** Rows compress to a fifth; more effort takes twice the time for a tenth of that. */
const gzipLevel = 1
const newline = 10

/** What is known of a file of rows. */
export interface RowsFile {
  rowCount: number
  /** SHA-256 of the file as it lies there, as hex. */
  digest: string
}

/** Writes rows to a new file, and syncs it. */
export async function writeRowsFile(
  path: string,
  rows: Readable,
  signal: AbortSignal,
): Promise<RowsFile> {
  const lines = new LineCounter()
  const digest = new Digester()
  const file = createWriteStream(path, { flags: 'wx', mode: fileMode })
  await pipeline(rows, lines, createGzip({ level: gzipLevel }), digest, file, { signal })
  await syncFile(path)
  return { rowCount: lines.count, digest: digest.hex() }
}

/** Hands the rows of a file to a database. @returns how many there were. */
export async function readRowsFile(
  path: string,
  rows: Writable,
  signal: AbortSignal,
): Promise<number> {
  const lines = new LineCounter()
  await pipeline(createReadStream(path), createGunzip(), lines, rows, { signal })
  return lines.count
}

/** SHA-256 of a file, as hex. */
export async function digestOf(path: string): Promise<string> {
  const digest = createHash('sha256')
  for await (const chunk of createReadStream(path)) digest.update(chunk)
  return digest.digest('hex')
}

export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Passes bytes on, and counts the lines: COPY writes a line break inside a value as two characters. */
export class LineCounter extends Transform {
  count = 0

  override _transform(
    chunk: Buffer,
    _: BufferEncoding,
    done: (e: null, chunk: Buffer) => void,
  ): void {
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, at + 1)) this.count++
    done(null, chunk)
  }
}

class Digester extends Transform {
  readonly #digest = createHash('sha256')

  override _transform(
    chunk: Buffer,
    _: BufferEncoding,
    done: (e: null, chunk: Buffer) => void,
  ): void {
    this.#digest.update(chunk)
    done(null, chunk)
  }

  hex(): string {
    return this.#digest.digest('hex')
  }
}
