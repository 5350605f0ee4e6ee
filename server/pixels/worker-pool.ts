import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { frameBytes } from './image-pixel.ts'
import type { Job, JobAnswer, JobOutcome, WorkerData } from './job.ts'

export interface PoolLimits {
  /** Threads at most. */
  workers: number
  /** Jobs that wait for a thread; the next is refused. */
  waiting: number
  /** Milliseconds of the processor that one job may take, at most. */
  jobMs: number
  /** Those that a job with few pixels may take, which a broken code stream would take far more of. */
  smallJobMs: number
  /** How many times as long it may take by the clock, on a machine that has other things to do. */
  busyTimes: number
  /** Bytes that the codecs of one thread may take, beside the frame and what becomes of it. */
  memoryBytes: number
}

export const defaultPoolLimits: PoolLimits = {
  workers: Math.max(1, Math.min(4, availableParallelism())),
  waiting: 256,
  jobMs: 20_000,
  smallJobMs: 4000,
  busyTimes: 5,
  // A frame of 256 MiB, and in JPEG 2000 four bytes for each sample of it, do not fit; one of half of that does.
  memoryBytes: 2 ** 30,
}

/** The pixels cannot be decoded or encoded: broken, hostile, or of a kind that no codec here knows. */
export class UndecodableError extends Error {
  override name = 'UndecodableError'
}

/** Too many jobs wait. To be answered 503. */
export class PoolBusyError extends Error {
  override name = 'PoolBusyError'
}

interface Task {
  job: Job
  signal: AbortSignal | undefined
  resolve(outcome: JobOutcome): void
  reject(error: Error): void
}

/**
 * Threads that decode, encode and render, so that the server's own thread never stalls.
 *
 * They start when there is work, as many as there is work for, and do not keep the process alive. A job that takes too
 * long, or too much memory, ends its thread; so does one that fails, for what it left behind is unknown. A thread that
 * ends by itself takes its job with it, and nothing else. A job whose client has left is not begun.
 */
export class WorkerPool implements AsyncDisposable {
  readonly #limits: PoolLimits
  readonly #usedMs: () => number
  readonly #waiting: Task[] = []
  readonly #idle: Worker[] = []
  readonly #all = new Set<Worker>()
  #isClosed = false

  /** @param usedMs Milliseconds of the processor that this process has used: no less than one of its threads. */
  constructor(limits: PoolLimits = defaultPoolLimits, usedMs = processorMs) {
    this.#limits = limits
    this.#usedMs = usedMs
  }

  /**
   * @throws {UndecodableError} → 406
   * @throws {PoolBusyError} → 503
   */
  run(job: Job, signal?: AbortSignal): Promise<JobOutcome> {
    signal?.throwIfAborted()
    if (this.#isClosed) throw new PoolBusyError('Cannot decode: the server is about to end')
    if (this.#waiting.length >= this.#limits.waiting) {
      throw new PoolBusyError('Cannot decode now: too many pictures are asked for at once')
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, signal, resolve, reject })
      this.#next()
    })
  }

  /** Ends all threads; jobs that wait or run fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    for (const { reject } of this.#waiting.splice(0)) reject(new PoolBusyError('Cannot decode'))
    await Promise.all([...this.#all].map((worker) => worker.terminate()))
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      if (this.#waiting[0]?.signal?.aborted) {
        const task = this.#waiting.shift() as Task
        task.reject(task.signal?.reason)
        continue
      }
      const worker = this.#idle.pop()
      if (worker === undefined) {
        if (this.#all.size < this.#limits.workers) this.#start()
        return
      }
      this.#give(worker, this.#waiting.shift() as Task)
    }
  }

  /** A worker asks for work when it is ready. */
  #start(): void {
    const { memoryBytes } = this.#limits
    const workerData: WorkerData = { memoryBytes }
    const worker = new Worker(new URL('../../server/pixels/worker.mjs', import.meta.url), {
      workerData,
    })
    worker.unref()
    this.#all.add(worker)
    worker.once('message', () => {
      worker.removeListener('error', failed)
      worker.removeListener('exit', ended)
      this.#idle.push(worker)
      this.#next()
    })
    const ended = () => failed(new Error('the codecs end at their start'))
    const failed = (error: Error) => {
      this.#end(worker)
      // Whoever waits would wait for ever, if no thread can be had.
      if (this.#all.size === 0) for (const { reject } of this.#waiting.splice(0)) reject(error)
    }
    worker.once('error', failed)
    worker.once('exit', ended)
  }

  #give(worker: Worker, { job, resolve, reject }: Task): void {
    const settle = (isSpent: boolean) => {
      clearTimeout(timer)
      worker.removeListener('message', answered)
      worker.removeListener('error', broken)
      worker.removeListener('exit', ended)
      if (isSpent) this.#end(worker)
      else this.#idle.push(worker)
      this.#next()
    }
    const answered = (answer: JobAnswer) => {
      settle(answer.isSpent)
      if ('problem' in answer) reject(new UndecodableError(answer.problem))
      else resolve({ bytes: answer.bytes, image: answer.image })
    }
    const broken = (error: Error) => {
      settle(true)
      reject(new UndecodableError(error.message))
    }
    const ended = () => broken(new Error('the codec ended'))
    const jobMs = this.#jobMs(job)
    const beganAt = performance.now()
    const usedBefore = this.#usedMs()
    const lookAgain = () => {
      // Of a job that waits for a processor nothing is known yet.
      const leftMs = jobMs - (this.#usedMs() - usedBefore)
      const isOver = performance.now() - beganAt >= jobMs * this.#limits.busyTimes
      if (leftMs > 0 && !isOver) {
        timer = setTimeout(lookAgain, leftMs)
        return
      }
      settle(true)
      reject(new UndecodableError(`it takes longer than ${jobMs / 1000} s`))
    }
    let timer = setTimeout(lookAgain, jobMs)
    worker.on('message', answered)
    worker.on('error', broken)
    worker.on('exit', ended)
    worker.postMessage(job, [job.bytes.buffer as ArrayBuffer])
  }

  /** A codec does some 20 MiB a second: a hundredth of that is enough, also where processors are few and busy. */
  #jobMs(job: Job): number {
    const { jobMs, smallJobMs } = this.#limits
    const { rows, columns } = job.image
    const picture =
      job.kind === 'render'
        ? (job.rendering.viewport ?? { width: columns, height: rows })
        : undefined
    const pictureBytes = picture === undefined ? 0 : 3 * picture.width * picture.height
    return Math.min(jobMs, Math.ceil(smallJobMs + (frameBytes(job.image) + pictureBytes) / 200))
  }

  #end(worker: Worker): void {
    worker.removeAllListeners()
    this.#all.delete(worker)
    // An error while it ends is nobody's.
    worker.on('error', () => {})
    void worker.terminate()
  }
}

function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
