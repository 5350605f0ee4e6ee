import { openSync, readSync, writevSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { counted, openAsync, readAsync, writeAll, writeRest } from './file-operations.ts'

/** Bytes that are copied in place: more of them are copied by another thread meanwhile. */
const readInPlaceBytes = 256 * 1024
const writeInPlaceBytes = 64 * 1024
/**
 * Bytes that are written in place where somebody waits for them: the next write, or the sync, can begin at once, and not only
 * when the loop comes to hear of this one. (Groups of 3 MB from four senders: 1.4 ms instead of 3 to 6 until the sync begins.)
 */
const writeAwaitedInPlaceBytes = 1024 * 1024
/**
 * Milliseconds after which a call was not prompt, or so many for each 256 KiB; and how many times as long as it took none is
 * made in place then.
 */
const promptMs = 1
const promptBytes = 256 * 1024
const restTimes = 20

/** `f_type` of file systems that answer from the memory of this machine, if they have it there (statfs(2)). */
const localTypes = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x2fc12fc1, // ZFS
  0xf2f52010, // F2FS
  0x01021994, // tmpfs
  0x794c7630, // overlay, as in containers
])

/**
 * Calls to the file system that are made in place, as long as they come back at once; else by a thread of the runtime.
 *
 * To hand a call to a thread and to hear of its end takes 50 to 150 µs on a virtual machine, where waking a processor is dear,
 * and what the system has in memory takes 5: to open, read and close 85 KB took 300 µs by threads, and takes 12. But a call
 * that waits holds up everything else. So none is made in place on the file system of another machine, which may be away; nor
 * for a while after one that took longer, so that a slow disk holds us up for a twentieth of the time at most. (Decision 28)
 */
export class PromptCalls {
  readonly #folder: string
  #looking: Promise<void> | undefined
  #isLocal = false
  #restsUntil = 0

  /** @param folder In which the files are; it may not be there yet. */
  constructor(folder: string) {
    this.#folder = folder
  }

  async open(path: string, flags: string, mode?: number): Promise<number> {
    if (this.#isPrompt()) return this.#timed(() => openSync(path, flags, mode))
    this.#looking ??= this.#look()
    return openAsync(path, flags, mode)
  }

  /** @returns How many bytes came, which may be fewer than there is room for; 0 at the end. */
  async read(fd: number, into: Uint8Array, at: number, position: number): Promise<number> {
    const length = into.length - at
    if (length <= readInPlaceBytes && this.#isPrompt()) {
      return this.#timed(() => readSync(fd, into, at, length, position))
    }
    return counted(await readAsync(fd, into, at, length, position), 'bytesRead')
  }

  /** Reads all that there is room for, if it can be done at once; if not, it is left to `read`, which says why. */
  readNow(fd: number, into: Uint8Array, position: number): boolean {
    if (into.length > readInPlaceBytes || !this.#isPrompt()) return false
    try {
      return this.#timed(() => readSync(fd, into, 0, into.length, position)) === into.length
    } catch {
      return false
    }
  }

  /**
   * Writes all of the chunks, which have so many bytes together.
   *
   * @param isAwaited Nothing else is done for whoever waits until they are written.
   */
  async write(
    fd: number,
    chunks: Uint8Array[],
    position: number,
    length: number,
    isAwaited: boolean,
  ): Promise<void> {
    const inPlaceBytes = isAwaited ? writeAwaitedInPlaceBytes : writeInPlaceBytes
    if (length > inPlaceBytes || !this.#isPrompt()) {
      return writeAll(fd, chunks, position, length)
    }
    const written = this.#timed(() => writevSync(fd, chunks, position), length)
    if (written < length) await writeRest(fd, chunks, position, written)
  }

  #isPrompt(): boolean {
    return this.#isLocal && performance.now() >= this.#restsUntil
  }

  #timed<T>(call: () => T, length = 0): T {
    const beganAt = performance.now()
    try {
      return call()
    } finally {
      const now = performance.now()
      const ms = now - beganAt
      if (ms > promptMs * Math.max(1, length / promptBytes)) this.#restsUntil = now + restTimes * ms
    }
  }

  async #look(): Promise<void> {
    try {
      this.#isLocal = localTypes.has((await statfs(this.#folder)).type)
    } catch {
      // Not there yet: it is looked at again.
      this.#looking = undefined
    }
  }
}
