// The load generator: a process of its own, so that its work is not the server's. It is told what to send
// over IPC, and answers with what it measured.
import { Agent, request as httpRequest } from 'node:http'
import type { LoadAnswer, LoadJob, LoadResult } from './load-generator.ts'
import { contentType, type PreparedRequest, prepareRequests } from './requests.ts'
import { makeInstances, shapeOf } from './sets.ts'
import { quantile } from './statistics.ts'

interface Answer {
  status: number
  body: Buffer
  latencyMs: number
}

const prepared = new Map<string, PreparedRequest[]>()

process.on('message', (job: LoadJob) => {
  run(job).then(
    (result) => reply({ result }),
    (error) => reply({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit())

function reply(answer: LoadAnswer): void {
  process.send?.(answer)
}

async function run(job: LoadJob): Promise<LoadResult> {
  const requests = requestsOf(job)
  const answers: (Answer | Error)[] = []
  const agent = new Agent({ keepAlive: true, maxSockets: job.concurrency })
  let next = 0
  const startedAt = performance.now()
  async function sender(): Promise<void> {
    for (let index = next++; index < requests.length; index = next++) {
      const request = requests[index] as PreparedRequest
      answers[index] = await send(job, request, agent).catch((error: Error) => error)
    }
  }
  await Promise.all(Array.from({ length: job.concurrency }, sender))
  const wallMs = performance.now() - startedAt
  agent.destroy()

  const problems = requests.flatMap((request, index) => check(job, request, answers[index]) ?? [])
  const latencies = answers.flatMap((answer) => (answer instanceof Error ? [] : answer.latencyMs))
  return {
    wallMs,
    requestCount: requests.length,
    instanceCount: requests.reduce((sum, request) => sum + request.sopInstanceUIDs.length, 0),
    byteLength: requests.reduce((sum, request) => sum + request.byteLength, 0),
    latencyP50Ms: quantile(latencies, 0.5),
    latencyP99Ms: quantile(latencies, 0.99),
    problemCount: problems.length,
    problems: problems.slice(0, 3),
  }
}

/** Made once for all rounds: a server is fresh each time, so the same UIDs are new to it. */
function requestsOf({ set, size, tag, perRequest, limit }: LoadJob): PreparedRequest[] {
  const key = JSON.stringify([set, size, tag, perRequest, limit])
  const known = prepared.get(key)
  if (known !== undefined) return known
  // Those of other tags will not be asked for again.
  if (tag > 2) prepared.clear()
  const instances = makeInstances(set, shapeOf(set, size), tag)
  const made = prepareRequests(instances.slice(0, limit), perRequest)
  prepared.set(key, made)
  return made
}

async function send(job: LoadJob, request: PreparedRequest, agent: Agent): Promise<Answer> {
  const startedAt = performance.now()
  const sent = httpRequest(job.url, {
    method: 'POST',
    agent,
    headers: {
      'content-type': contentType,
      accept: 'application/dicom+json',
      ...(job.isChunked
        ? { 'transfer-encoding': 'chunked' }
        : { 'content-length': request.byteLength }),
    },
  })
  const answered = new Promise<Answer>((resolve, reject) => {
    sent.on('error', reject)
    sent.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const latencyMs = performance.now() - startedAt
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks), latencyMs })
      })
    })
  })
  let isAnswered = false
  const early = answered.then(
    () => {
      isAnswered = true
    },
    () => {
      isAnswered = true
    },
  )
  for (const group of request.groups) {
    // A server that answers before it has read all will not read the rest.
    if (isAnswered) break
    let hasRoom = true
    sent.cork()
    for (const piece of group) hasRoom = sent.write(piece)
    sent.uncork()
    if (!hasRoom) await Promise.race([new Promise((drained) => sent.once('drain', drained)), early])
  }
  if (!isAnswered) sent.end()
  return answered
}

/** What is wrong with an answer; undefined when it confirms each instance. */
function check(
  { isConfirmed }: LoadJob,
  request: PreparedRequest,
  answer: Answer | Error | undefined,
): string | undefined {
  if (answer === undefined || answer instanceof Error) return `No answer: ${answer?.message}`
  if (answer.status !== 200) {
    return `Status ${answer.status}: ${answer.body.toString('utf8', 0, 200)}`
  }
  if (!isConfirmed) return undefined
  const { referenced, failedCount } = readConfirmation(answer.body)
  const missing = request.sopInstanceUIDs.filter(
    (sopInstanceUID) => !referenced.has(sopInstanceUID),
  )
  if (missing.length === 0 && failedCount === 0) return undefined
  return `${missing.length} of ${request.sopInstanceUIDs.length} not confirmed, ${failedCount} failed`
}

type DicomJSON = Record<string, { Value?: Record<string, { Value?: unknown[] }>[] } | undefined>

/** PS3.18 Table 10.5.3-2: ReferencedSOPSequence (0008,1199), FailedSOPSequence (0008,1198). */
function readConfirmation(body: Buffer): { referenced: Set<unknown>; failedCount: number } {
  const parsed = JSON.parse(body.toString()) as DicomJSON | DicomJSON[]
  const answer = (Array.isArray(parsed) ? parsed[0] : parsed) ?? {}
  const items = answer['00081199']?.Value ?? []
  return {
    referenced: new Set(items.map((item) => item['00081155']?.Value?.[0])),
    failedCount: answer['00081198']?.Value?.length ?? 0,
  }
}
