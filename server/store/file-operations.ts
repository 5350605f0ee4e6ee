import {
  close,
  fdatasync,
  fsync,
  ftruncate,
  open as openFile,
  read as readFile,
  write,
  writev,
} from 'node:fs'
import { promisify } from 'node:util'

export const openAsync = promisify(openFile)
export const closeAsync = promisify(close)
const writeAsync = promisify(write) as (
  fd: number,
  bytes: Uint8Array,
  from: number,
  length: number,
  position: number,
) => Promise<{ bytesWritten: number } | number>
const writevAsync = promisify(writev) as (
  fd: number,
  chunks: Uint8Array[],
  position: number,
) => Promise<{ bytesWritten: number } | number>
export const fdatasyncAsync = promisify(fdatasync)
export const fsyncAsync = promisify(fsync)
export const ftruncateAsync = promisify(ftruncate)
export const readAsync = promisify(readFile) as (
  fd: number,
  into: Uint8Array,
  at: number,
  length: number,
  position: number,
) => Promise<{ bytesRead: number } | number>

/** Writes all of the chunks, which have so many bytes together. */
export async function writeAll(
  fd: number,
  chunks: Uint8Array[],
  position: number,
  length: number,
): Promise<void> {
  const written = counted(await writevAsync(fd, chunks, position), 'bytesWritten')
  if (written < length) await writeRest(fd, chunks, position, written)
}

/** A write may be short (a full disk says so only at the next one), so what is left is written again. */
export async function writeRest(
  fd: number,
  chunks: Uint8Array[],
  position: number,
  written: number,
): Promise<void> {
  for (const chunk of chunks) {
    for (let from = Math.min(written, chunk.length); from < chunk.length; ) {
      from += counted(
        await writeAsync(fd, chunk, from, chunk.length - from, position + from),
        'bytesWritten',
      )
    }
    written = Math.max(0, written - chunk.length)
    position += chunk.length
  }
}

/** What promisify makes of read and write: an object on Node, a bare number on some other runtimes. */
export function counted(result: Record<string, unknown> | number, name: string): number {
  return typeof result === 'number' ? result : (result[name] as number)
}
