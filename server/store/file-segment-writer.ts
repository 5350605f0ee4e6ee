import { closeSync } from 'node:fs'
import { closeAsync, fdatasyncAsync, ftruncateAsync } from './file-operations.ts'
import type { PromptCalls } from './prompt-calls.ts'
import { type SegmentWriter, StoreError } from './store.ts'

/**
 * Queued bytes that are worth a write.
 *
 * (200 MB, digested on the way: written by 64 KiB, 256 KiB, 1 MiB and 4 MiB they took 322, 231, 203 and 209 ms
 * of CPU. To make the file long ahead, and cut it at the end, gained nothing: 211 ms.)
 */
const writeBytes = 1024 * 1024
/** Chunks handed to one writev; Linux takes 1,024 at most. */
const chunksPerWrite = 512
/** Queued bytes above which a writer asks its caller to wait: so many of all writers together, and of one. */
const highWaterBytesOfAll = 16 * 1024 * 1024
const highWaterBytes = 4 * 1024 * 1024
const leastHighWaterBytes = 128 * 1024
/**
 * Bytes written since the last sync began that start the next, while more arrive.
 *
 * (200 MB, digested on the way, ext4 on a virtual disk: without it the seal took 115 ms; with 4, 8, 16, 32, 64 MiB
 * it took 13, 20, 23, 31, 37 ms, and all of it 575, 547, 383, 356, 475 ms of CPU, for 382 without.)
 */
const syncBytes = 16 * 1024 * 1024

/** The writers of a store that are open: they share what may be queued, and the disk. */
export class OpenWriters {
  readonly #writers = new Set<FileSegmentWriter>()
  /** Whether one of them syncs ahead of its end: the runtimes have few threads for files, and writes need them. */
  isSyncing = false

  add(writer: FileSegmentWriter): void {
    this.#writers.add(writer)
  }

  delete(writer: FileSegmentWriter): void {
    this.#writers.delete(writer)
  }

  /** Bytes that one of them may have queued. */
  get highWaterBytes(): number {
    const share = highWaterBytesOfAll / this.#writers.size
    return Math.max(leastHighWaterBytes, Math.min(highWaterBytes, share))
  }
}

type Operation = { append: Uint8Array } | { rewind: number } | { cut: number }

/** A file that was just made. */
export interface OpenSegment {
  segmentID: string
  fd: number
  /** Its entry, and those of the folders above, are durable. */
  foldersSynced: Promise<void>
  calls: PromptCalls
  /** All that are open, which this joins. */
  open: OpenWriters
}

/**
 * Writes what is queued, in order, at explicit positions, one piece at a time; `drain`, `sync` and `seal`
 * wait for it.
 *
 * The folders are synced as soon as the file is made, and much data while more of it arrives, so that a
 * seal costs one short fdatasync.
 */
export class FileSegmentWriter implements SegmentWriter {
  readonly segmentID: string
  readonly #fd: number
  readonly #foldersSynced: Promise<void>
  readonly #calls: PromptCalls
  readonly #open: OpenWriters
  #queue: Operation[] = []
  #queuedBytes = 0
  /** Operations that were ever queued, and those of them that are done. */
  #queuedCount = 0
  #doneCount = 0
  #byteLength = 0
  /** Where the next queued byte goes, and how far the file reaches. */
  #position = 0
  #fileLength = 0
  #unsyncedBytes = 0
  #writing: Promise<void> | undefined
  #syncing: Promise<void> | undefined
  /** A sync waits for what is queued, which is little. */
  #isAwaited = false
  #isStarting = false
  #error: StoreError | undefined
  #closed = false

  constructor({ segmentID, fd, foldersSynced, calls, open }: OpenSegment) {
    this.segmentID = segmentID
    this.#fd = fd
    this.#foldersSynced = foldersSynced
    this.#calls = calls
    this.#open = open
    open.add(this)
    // Awaited by sync and seal; without this an early failure would count as unhandled.
    foldersSynced.catch(() => {})
  }

  get byteLength(): number {
    return this.#byteLength
  }

  append(bytes: Uint8Array): void {
    this.#mustBeOpen()
    this.#byteLength += bytes.length
    this.#queuedBytes += bytes.length
    this.#enqueue({ append: bytes })
    // Small pieces wait for company or for drain, so that one system call takes many.
    if (this.#queuedBytes >= writeBytes) this.#startSoon()
  }

  /** When whoever appends is done, for a sync that comes right behind writes in another way. */
  #startSoon(): void {
    if (this.#isStarting) return
    this.#isStarting = true
    queueMicrotask(() => {
      this.#isStarting = false
      if (this.#queuedBytes >= writeBytes) this.#startWriting()
    })
  }

  rewind(offset: number): void {
    this.#mustBeOpen()
    if (offset === this.#byteLength) return
    this.#byteLength = offset
    this.#enqueue({ rewind: offset })
  }

  get isBehind(): boolean {
    const isOver = this.#error !== undefined || this.#closed
    return isOver || this.#queuedBytes > this.#open.highWaterBytes
  }

  async drain(): Promise<void> {
    while (this.#queuedBytes > this.#open.highWaterBytes && this.#error === undefined) {
      this.#startWriting()
      await this.#writing
    }
    this.#mustBeOpen()
  }

  async sync(): Promise<void> {
    this.#mustBeOpen()
    this.#enqueue({ cut: this.#byteLength })
    this.#isAwaited = true
    try {
      await this.#flush()
    } finally {
      this.#isAwaited = false
    }
    await this.#syncWritten()
  }

  async seal(): Promise<void> {
    this.#mustBeOpen()
    this.#enqueue({ cut: this.#byteLength })
    await this.#flush()
    try {
      await this.#syncWritten()
    } finally {
      if (!this.#closed) {
        this.#forget()
        // Nothing is left to write back, so this does not block. (Through the thread pool: 20 µs for 2 µs.)
        closeSync(this.#fd)
      }
    }
  }

  async abandon(byteLength?: number): Promise<void> {
    this.#fail('write to a segment', new Error('it was abandoned'))
    await this.#writing
    await this.#syncing
    await this.#foldersSynced.catch(() => {})
    if (this.#closed) return
    this.#forget()
    if (byteLength !== undefined) await ftruncateAsync(this.#fd, byteLength).catch(() => {})
    await closeAsync(this.#fd).catch(() => {})
  }

  #mustBeOpen(): void {
    if (this.#error !== undefined) throw this.#error
    // The descriptor may be another file's by now.
    if (this.#closed) throw new StoreError('write to a segment', new Error('it is sealed'))
  }

  #fail(action: string, cause: unknown): void {
    this.#error ??= new StoreError(action, cause)
    this.#queue = []
  }

  #forget(): void {
    this.#closed = true
    this.#open.delete(this)
  }

  #enqueue(operation: Operation): void {
    this.#queue.push(operation)
    this.#queuedCount++
  }

  /** Writes all that is queued now; what is queued meanwhile is not waited for. */
  async #flush(): Promise<void> {
    const count = this.#queuedCount
    while (this.#doneCount < count && this.#error === undefined) {
      this.#startWriting()
      await this.#writing
    }
    this.#mustBeOpen()
  }

  #startWriting(): void {
    this.#writing ??= this.#writeSome()
      .catch((error) => this.#fail('write to a segment', error))
      .finally(() => {
        this.#writing = undefined
        if (this.#error !== undefined) return
        if (this.#queuedBytes >= writeBytes) this.#startWriting()
        if (this.#unsyncedBytes >= syncBytes) this.#syncAhead()
      })
  }

  /** Does what is queued first: one operation, or as many appends as one system call takes. */
  async #writeSome(): Promise<void> {
    const first = this.#queue[0]
    if (first === undefined) return
    if ('append' in first) return this.#writeChunks()
    this.#queue.shift()
    if ('rewind' in first) {
      this.#position = first.rewind
    } else if (this.#fileLength > first.cut) {
      await ftruncateAsync(this.#fd, first.cut)
      this.#fileLength = first.cut
    }
    this.#doneCount++
  }

  async #writeChunks(): Promise<void> {
    const chunks: Uint8Array[] = []
    let length = 0
    for (const operation of this.#queue) {
      if (!('append' in operation) || chunks.length === chunksPerWrite) break
      // What is written in place may be so much.
      if (this.#isAwaited && length > 0 && length + operation.append.length > writeBytes) break
      chunks.push(operation.append)
      length += operation.append.length
    }
    this.#queue.splice(0, chunks.length)
    await this.#calls.write(this.#fd, chunks, this.#position, length, this.#isAwaited)
    this.#position += length
    this.#fileLength = Math.max(this.#fileLength, this.#position)
    this.#queuedBytes -= length
    this.#unsyncedBytes += length
    this.#doneCount += chunks.length
  }

  /** Makes durable what is written and where. A sync that runs already may have begun before. */
  async #syncWritten(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing
    this.#mustBeOpen()
    this.#startSyncing()
    await this.#syncing
    await this.#foldersSynced.catch((error) => this.#fail('sync a segment', error))
    this.#mustBeOpen()
  }

  /** Keeps the disk busy while the body arrives. Nobody waits for it. */
  #syncAhead(): void {
    if (this.#open.isSyncing || this.#syncing !== undefined) return
    this.#open.isSyncing = true
    this.#startSyncing().finally(() => {
      this.#open.isSyncing = false
    })
  }

  #startSyncing(): Promise<void> {
    this.#unsyncedBytes = 0
    this.#syncing = fdatasyncAsync(this.#fd)
      // The system tells of a page that it could not write only once: whatever comes after, it is lost.
      .catch((error) => this.#fail('sync a segment', error))
      .finally(() => {
        this.#syncing = undefined
      })
    return this.#syncing
  }
}
