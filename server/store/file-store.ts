import { randomUUID } from 'node:crypto'
import type { Stats } from 'node:fs'
import { chmod, mkdir, readdir, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import {
  closeAsync,
  counted,
  fdatasyncAsync,
  fsyncAsync,
  ftruncateAsync,
  openAsync,
  readAsync,
  writeAll,
} from './file-operations.ts'
import {
  type SegmentEntry,
  SegmentNotFoundError,
  SegmentTooShortError,
  type SegmentWriter,
  type Store,
  StoreError,
} from './store.ts'

const extension = '.segment'
const openMode = 0o640
const keptMode = 0o440
/** Bytes of one read: a reader who does not take them keeps some of these waiting. */
const readBytes = 256 * 1024
/** Queued bytes that are worth a write. */
const writeBytes = 1024 * 1024
/** Queued bytes above which a writer asks its caller to wait: so many of all writers together, and of one. */
const highWaterBytesOfAll = 32 * 1024 * 1024
const highWaterBytes = 4 * 1024 * 1024
const leastHighWaterBytes = 128 * 1024
/** Chunks handed to one writev; Linux takes 1,024 at most. */
const chunksPerWrite = 512

/**
 * Keeps segments as files, in 256 folders named by the last two digits of their id, so that no folder
 * grows too large and a folder's sync stays cheap.
 *
 * @param folder Made if it is not there. May be shared by several servers, over NFS too.
 */
export function fileStore(folder: string): Store {
  const writers = new Set<SegmentWriter>()
  return {
    async create(segmentID) {
      const directory = join(folder, shard(segmentID))
      try {
        const made = await makeFolder(directory)
        const fd = await openAsync(pathOf(folder, segmentID), 'wx', openMode)
        const synced = syncFolders(folder, directory, ...foldersAbove(folder, made))
        return new FileSegmentWriter(segmentID, fd, synced, writers)
      } catch (error) {
        throw new StoreError('create a segment', error)
      }
    },

    async *read(segmentID, offset, length) {
      const fd = await openAsync(pathOf(folder, segmentID), 'r').catch((error) => {
        throw error.code === 'ENOENT'
          ? new SegmentNotFoundError(segmentID)
          : new StoreError('read a segment', error)
      })
      try {
        for (let done = 0; done < length; ) {
          const chunk = new Uint8Array(Math.min(readBytes, length - done))
          const result = await readAsync(fd, chunk, 0, chunk.length, offset + done).catch(
            (error) => {
              throw new StoreError('read a segment', error)
            },
          )
          const count = counted(result, 'bytesRead')
          if (count === 0) {
            throw new SegmentTooShortError(segmentID, offset + length, offset + done)
          }
          done += count
          yield count === chunk.length ? chunk : chunk.subarray(0, count)
        }
      } finally {
        await closeAsync(fd)
      }
    },

    // Kept is who cannot be written any more: the mode is there at once, for every server, and costs no name.
    async keep(segmentID) {
      await chmod(pathOf(folder, segmentID), keptMode).catch((error) => {
        throw new StoreError('keep a segment', error)
      })
    },

    async delete(segmentID) {
      try {
        const path = pathOf(folder, segmentID)
        if (isKept(await stat(path))) return false
        await unlink(path)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
          throw new StoreError('delete a segment', error)
        }
      }
      return true
    },

    async *list() {
      for (const name of await namesIn(folder)) {
        for (const file of /^[0-9a-f]{2}$/.test(name) ? await namesIn(join(folder, name)) : []) {
          const entry = file.endsWith(extension)
            ? await entryOf(join(folder, name), file)
            : undefined
          if (entry !== undefined) yield entry
        }
      }
    },

    async probe() {
      try {
        const made = await mkdir(folder, { recursive: true })
        await syncFolders(...foldersAbove(folder, made))
        // Asked for real: what `access` says differs between the runtimes, and modes do not tell all.
        const path = join(folder, `probe-${randomUUID()}`)
        await writeFile(path, '', { flag: 'wx' })
        await unlink(path)
      } catch (error) {
        throw new StoreError('write to the store', error)
      }
    },
  }
}

type Operation = { append: Uint8Array } | { rewind: number }

/**
 * One loop writes what is queued, in order, at explicit positions; `drain` and `seal` wait for it.
 *
 * The folders are synced as soon as the file is made, while the body is still arriving, so that a
 * seal costs one fdatasync.
 */
class FileSegmentWriter implements SegmentWriter {
  readonly segmentID: string
  readonly #fd: number
  readonly #foldersSynced: Promise<void>
  /** All that are open in the same store: they share what may be queued. */
  readonly #writers: Set<SegmentWriter>
  #queue: Operation[] = []
  #queuedBytes = 0
  #byteLength = 0
  /** Where the next queued byte goes, and how far the file reaches. */
  #position = 0
  #fileLength = 0
  #writing: Promise<void> | undefined
  #error: StoreError | undefined
  #closed = false

  constructor(
    segmentID: string,
    fd: number,
    foldersSynced: Promise<void>,
    writers: Set<SegmentWriter>,
  ) {
    this.segmentID = segmentID
    this.#fd = fd
    this.#foldersSynced = foldersSynced
    this.#writers = writers
    writers.add(this)
    // Awaited by seal; without this an early failure would count as unhandled.
    foldersSynced.catch(() => {})
  }

  get byteLength(): number {
    return this.#byteLength
  }

  append(bytes: Uint8Array): void {
    this.#mustBeOpen()
    this.#byteLength += bytes.length
    this.#queuedBytes += bytes.length
    this.#queue.push({ append: bytes })
    // Small pieces wait for company or for drain, so that one system call takes many.
    if (this.#queuedBytes >= writeBytes) this.#startWriting()
  }

  rewind(offset: number): void {
    this.#mustBeOpen()
    if (offset === this.#byteLength) return
    this.#byteLength = offset
    this.#queue.push({ rewind: offset })
  }

  async drain(): Promise<void> {
    const share = highWaterBytesOfAll / this.#writers.size
    const limitBytes = Math.max(leastHighWaterBytes, Math.min(highWaterBytes, share))
    while (this.#queuedBytes > limitBytes && this.#error === undefined) {
      this.#startWriting()
      await this.#writing
    }
    this.#mustBeOpen()
  }

  async seal(): Promise<void> {
    this.#mustBeOpen()
    while (this.#queue.length > 0 && this.#error === undefined) {
      this.#startWriting()
      await this.#writing
    }
    await this.#writing
    this.#mustBeOpen()
    try {
      if (this.#fileLength > this.#byteLength) await ftruncateAsync(this.#fd, this.#byteLength)
      await fdatasyncAsync(this.#fd)
      await this.#foldersSynced
    } catch (error) {
      this.#error = new StoreError('sync a segment', error)
    }
    await this.#close()
    if (this.#error !== undefined) throw this.#error
  }

  async abandon(): Promise<void> {
    this.#error ??= new StoreError('write to a segment', new Error('it was abandoned'))
    this.#queue = []
    await this.#writing
    await this.#foldersSynced.catch(() => {})
    await this.#close()
  }

  #mustBeOpen(): void {
    if (this.#error !== undefined) throw this.#error
    // The descriptor may be another file's by now.
    if (this.#closed) throw new StoreError('write to a segment', new Error('it is sealed'))
  }

  async #close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#writers.delete(this)
    await closeAsync(this.#fd).catch(() => {})
  }

  #startWriting(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  async #write(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const first = this.#queue[0] as Operation
        if ('rewind' in first) {
          this.#queue.shift()
          this.#position = first.rewind
          continue
        }
        const chunks: Uint8Array[] = []
        let length = 0
        for (const operation of this.#queue) {
          if ('rewind' in operation || chunks.length === chunksPerWrite) break
          chunks.push(operation.append)
          length += operation.append.length
        }
        this.#queue.splice(0, chunks.length)
        await writeAll(this.#fd, chunks, this.#position, length)
        this.#position += length
        this.#fileLength = Math.max(this.#fileLength, this.#position)
        this.#queuedBytes -= length
      }
    } catch (error) {
      this.#error ??= new StoreError('write to a segment', error)
      this.#queue = []
    }
  }
}

function isKept({ mode }: Stats): boolean {
  return (mode & 0o200) === 0
}

function shard(segmentID: string): string {
  return segmentID.slice(-2)
}

function pathOf(folder: string, segmentID: string): string {
  return join(folder, shard(segmentID), `${segmentID}${extension}`)
}

/**
 * Makes a folder, and those above it when they are missing.
 *
 * Not recursive at first, for Node then reports any error as ENOENT, and a full disk would not be
 * known as one. @returns the first folder that it made, undefined when all were there.
 */
async function makeFolder(path: string): Promise<string | undefined> {
  try {
    await mkdir(path)
    return path
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return undefined
    if (code === 'ENOENT') return mkdir(path, { recursive: true })
    throw error
  }
}

/**
 * The folders that have new entries besides the store's own, after `mkdir` has said which was the first
 * it made: a folder whose entry is lost in a crash is lost with all that is in it.
 */
function foldersAbove(folder: string, made: string | undefined): string[] {
  const above: string[] = []
  if (made === undefined) return above
  const top = dirname(resolve(made))
  for (let at = dirname(resolve(folder)); at.length >= top.length; at = dirname(at)) {
    above.push(at)
    if (at === dirname(at)) break
  }
  return above
}

async function syncFolders(...folders: string[]): Promise<void> {
  for (const folder of folders) {
    const fd = await openAsync(folder, 'r')
    try {
      await fsyncAsync(fd)
    } finally {
      await closeAsync(fd)
    }
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error) => {
    if (error.code === 'ENOENT') return []
    throw new StoreError('list the store', error)
  })
}

async function entryOf(folder: string, file: string): Promise<SegmentEntry | undefined> {
  const found: Stats | undefined = await stat(join(folder, file)).catch(() => undefined)
  return (
    found && {
      segmentID: file.slice(0, -extension.length),
      byteLength: found.size,
      modifiedAt: found.mtime,
      isKept: isKept(found),
    }
  )
}
