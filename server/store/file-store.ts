import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { closeSync, type Stats } from 'node:fs'
import { chmod, readdir, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { FileSegmentWriter, OpenWriters } from './file-segment-writer.ts'
import { PromptCalls } from './prompt-calls.ts'
import { folderPattern, SegmentFolders } from './segment-folders.ts'
import {
  type SegmentEntry,
  SegmentNotFoundError,
  SegmentTooShortError,
  type Store,
  StoreError,
} from './store.ts'

const extension = '.segment'
const openMode = 0o640
const keptMode = 0o440
/** Bytes of one read: a reader who does not take them keeps some of these waiting. */
const readBytes = 256 * 1024
/** Bytes after which a reader lets others have their turn. */
const turnBytes = 1024 * 1024

export interface FileStore extends Store {
  /** See {@link SegmentFolders.guard}. @throws {StoreError} */
  guard(isNew: boolean): Promise<void>
}

/**
 * Keeps segments as files, in 256 folders named by the last two digits of their id, so that no folder
 * grows too large and a folder's sync stays cheap.
 *
 * @param folder Made if it is not there. May be shared by several servers, over NFS too.
 */
export function fileStore(folder: string): FileStore {
  const calls = new PromptCalls(folder)
  const folders = new SegmentFolders(folder, calls)
  const writers = new OpenWriters()
  async function openToRead(segmentID: string): Promise<number> {
    return calls.open(pathOf(folder, segmentID), 'r').catch(async (error) => {
      if (error.code !== 'ENOENT' && error.code !== 'ESTALE') {
        throw new StoreError('read a segment', error)
      }
      await mustBeThere('read a segment')
      throw new SegmentNotFoundError(segmentID)
    })
  }
  async function mustBeThere(action: string): Promise<void> {
    await folders.mustBeThere().catch((error) => {
      throw new StoreError(action, error)
    })
  }
  async function passOverMissing(error: unknown): Promise<void> {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return mustBeThere('delete a segment')
    throw new StoreError('delete a segment', error)
  }
  async function readWhole(
    segmentID: string,
    fd: number,
    into: Uint8Array,
    offset: number,
  ): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const count = await readSome(calls, fd, into, done, offset + done)
      if (count === 0) {
        throw new SegmentTooShortError(segmentID, offset + into.length, offset + done)
      }
      done += count
    }
  }

  return {
    async guard(isNew) {
      await folders.guard(isNew).catch((error) => {
        throw new StoreError('write to the store', error)
      })
    },

    async create(segmentID) {
      try {
        const { fd, synced } = await folders.openNew(
          shard(segmentID),
          `${segmentID}${extension}`,
          openMode,
        )
        return new FileSegmentWriter({ segmentID, fd, foldersSynced: synced, calls, open: writers })
      } catch (error) {
        throw new StoreError('create a segment', error)
      }
    },

    async *read(segmentID, offset, length) {
      const fd = await openToRead(segmentID)
      try {
        for (let done = 0; done < length; ) {
          const chunk = Buffer.allocUnsafeSlow(Math.min(readBytes, length - done))
          const count = await readSome(calls, fd, chunk, 0, offset + done)
          if (count === 0) {
            throw new SegmentTooShortError(segmentID, offset + length, offset + done)
          }
          done += count
          yield count === chunk.length ? chunk : chunk.subarray(0, count)
          // Reads may be made in place: whoever takes chunk after chunk would keep all others waiting.
          if (done % turnBytes === 0 && done < length) await nextTurn()
        }
      } finally {
        closeSync(fd)
      }
    },

    async readRanges(segmentID, ranges, into) {
      const fd = await openToRead(segmentID)
      const waiting: Promise<void>[] = []
      let at = 0
      for (const { offset, length } of ranges) {
        const bytes = into.subarray(at, at + length)
        at += length
        if (!calls.readNow(fd, bytes, offset)) waiting.push(readWhole(segmentID, fd, bytes, offset))
      }
      // All of them, also when one fails: nothing may be read from a file that is closed.
      const ended = await Promise.allSettled(waiting)
      closeSync(fd)
      for (const one of ended) if (one.status === 'rejected') throw one.reason
    },

    async readInto(segmentID, offset, into) {
      const fd = await openToRead(segmentID)
      try {
        await readWhole(segmentID, fd, into, offset)
      } finally {
        closeSync(fd)
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
        await passOverMissing(error)
      }
      return true
    },

    async discard(segmentID) {
      await unlink(pathOf(folder, segmentID)).catch(passOverMissing)
    },

    async *list() {
      for (const name of await namesIn(folder)) {
        for (const file of folderPattern.test(name) ? await namesIn(join(folder, name)) : []) {
          const entry = file.endsWith(extension)
            ? await entryOf(join(folder, name), file)
            : undefined
          if (entry !== undefined) yield entry
        }
      }
    },

    async probe() {
      try {
        await folders.mustBeThere()
        await folders.makeRoot()
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

/** @returns How many bytes came, which may be fewer than there is room for; 0 at the end. */
async function readSome(
  calls: PromptCalls,
  fd: number,
  into: Uint8Array,
  at: number,
  position: number,
): Promise<number> {
  return calls.read(fd, into, at, position).catch((error) => {
    throw new StoreError('read a segment', error)
  })
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
