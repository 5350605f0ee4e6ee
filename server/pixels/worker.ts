import { parentPort, workerData } from 'node:worker_threads'
import { memoryBytes, startCodecs } from './codecs.ts'
import { doJob } from './do-job.ts'
import type { Job, JobAnswer, WorkerData } from './job.ts'

/**
 * A thread that does one job after another. It says `ready` once, and answers each job.
 *
 * WASM memory never shrinks, and what a job that failed left in it is unknown: such a worker asks to be ended.
 */
const port = parentPort
if (port === null) throw new Error('This is the entry of a worker')

const keptMemoryBytes = 384 * 2 ** 20

await startCodecs((workerData as WorkerData).memoryBytes)
port.on('message', (job: Job) => {
  const answer = answerTo(job)
  const buffers = 'bytes' in answer ? [answer.bytes.buffer as ArrayBuffer] : []
  port.postMessage(answer, buffers)
})
port.postMessage('ready')

function answerTo(job: Job): JobAnswer {
  try {
    const outcome = doJob(job)
    return { ...outcome, isSpent: memoryBytes() > keptMemoryBytes }
  } catch (error) {
    // Codecs say what is wrong with the code stream; nothing of a patient is in it.
    return { problem: error instanceof Error ? error.message : 'unknown', isSpent: true }
  }
}
