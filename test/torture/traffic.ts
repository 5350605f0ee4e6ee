import { setTimeout as sleep } from 'node:timers/promises'
import { Mutator } from '../fuzz/mutate.ts'
import type { SeededRandom } from '../support/random.ts'
import { partsOf } from '../support/received-parts.ts'
import { multipartBody, multipartType, readAnswer, type StowAnswer } from '../support/stow.ts'
import { digestOf, type Ledger, SentStudy } from './ledger.ts'
import type { Host, World } from './world.ts'

/** What senders and readers share. */
export interface Traffic {
  world: World
  ledger: Ledger
  random: SeededRandom
  /** After this, senders end what they began, and begin nothing. Milliseconds since 1970. */
  untilAt: number
  /** When they give up, because something hangs. */
  givingUpAt: number
}

const patienceMs = 30_000
const tokens = ['--', '\r\n', 'DICM', 'Content-Type: application/dicom', 'SQ', 'OB', '1.2.840']

/** Sends studies one after the other, whole, broken and bad ones, each again until it knows what became of it. */
export async function keepSending(traffic: Traffic): Promise<void> {
  const { random, ledger, untilAt } = traffic
  while (Date.now() < untilAt) {
    const dice = random.next()
    if (dice < 0.08) await sendBadInput(traffic)
    else if (dice < 0.16) await sendBrokenStudy(traffic)
    else await sendStudy(traffic)
    if (ledger.counts.get('gave up')) return
    await sleep(random.between(0, 300))
  }
}

async function sendStudy(traffic: Traffic): Promise<void> {
  const { random, ledger } = traffic
  const study = new SentStudy()
  ledger.studies.push(study)
  for (let requests = 1 + Math.floor(random.next() * 3); requests > 0; requests--) {
    const isLarge = random.next() < 0.04
    const pixelBytes = isLarge ? 1_500_000 : Math.floor(10 ** random.between(2, 4))
    const files = study.next(1 + Math.floor(random.next() * (isLarge ? 2 : 25)), pixelBytes)
    const answer = await sendUntil(traffic, files, [200])
    if (answer === undefined) return
    study.acknowledge()
    ledger.instances += files.length
    ledger.bytes += files.reduce((sum, one) => sum + one.length, 0)
    // Whichever server is asked, and at once.
    await look(traffic, study)
  }
  ledger.count('studies stored')
  if (random.next() < 0.25) await deleteStudy(traffic, study)
}

/** One instance of it is not DICOM, and all or nothing is asked for: nothing. */
async function sendBrokenStudy(traffic: Traffic): Promise<void> {
  const study = new SentStudy()
  traffic.ledger.studies.push(study)
  const files = study.next(2 + Math.floor(traffic.random.next() * 10), 500)
  files.splice(Math.floor(traffic.random.next() * files.length), 0, Buffer.from('no DICOM file'))
  study.giveUp()
  await sendUntil(traffic, files, [409])
  traffic.ledger.count('studies refused whole')
  await look(traffic, study)
}

/** What no sender should send: any answer will do, as long as there is a server that gives it. */
async function sendBadInput({ world, random, ledger }: Traffic): Promise<void> {
  const [one, other] = [new SentStudy(), new SentStudy()].map((study) =>
    multipartBody(study.next(3, 300)),
  ) as [Buffer, Buffer]
  const bytes = new Mutator(random, tokens, 1 << 20).mutate(one, other)
  const answer = await post(pick(world.hosts, random), bytes)
  ledger.count('bad inputs')
  if (answer !== undefined && answer.status >= 500 && ![503, 507].includes(answer.status))
    ledger.wrong(`a bad input was answered ${answer.status}`)
}

/** @returns undefined: it was given up. */
async function sendUntil(
  traffic: Traffic,
  files: Buffer[],
  wanted: number[],
): Promise<StowAnswer | undefined> {
  const { world, random, ledger, givingUpAt } = traffic
  const body = multipartBody(files)
  for (;;) {
    const answer = await post(pick(world.hosts, random), body)
    ledger.count(`answered ${answer?.status ?? 'not at all: the connection broke'}`)
    if (answer !== undefined && wanted.includes(answer.status)) return answer
    if (answer !== undefined && ![503, 507].includes(answer.status))
      ledger.wrong(`a request was answered ${answer.status}: ${JSON.stringify(answer.body)}`)
    if (answer?.status === 503 && answer.headers.get('retry-after') === null)
      ledger.wrong('503 without Retry-After')
    if (Date.now() > givingUpAt) return void ledger.count('gave up')
    await sleep(random.between(50, 600))
  }
}

async function deleteStudy(traffic: Traffic, study: SentStudy): Promise<void> {
  const { world, random, ledger, givingUpAt } = traffic
  study.deletion = 'wanted'
  for (;;) {
    const host = pick(world.hosts, random)
    const status = await fetch(`${senderURL(host)}/studies/${study.studyInstanceUID}`, {
      method: 'DELETE',
      signal: AbortSignal.timeout(patienceMs),
    }).then(
      async (answer) => {
        await answer.arrayBuffer()
        return answer.status
      },
      () => undefined,
    )
    // 410: an earlier attempt, of whose answer nothing was heard, did it.
    if (status === 200 || status === 204 || status === 410) break
    if (status !== undefined && status !== 503) ledger.wrong(`a deletion was answered ${status}`)
    if (Date.now() > givingUpAt) return ledger.count('gave up')
    await sleep(random.between(50, 600))
  }
  study.deletion = 'done'
  ledger.count('studies deleted')
  await look(traffic, study)
}

async function post(host: Host, body: Uint8Array): Promise<StowAnswer | undefined> {
  try {
    const answer = await fetch(`${senderURL(host)}/studies`, {
      method: 'POST',
      headers: { 'content-type': multipartType, accept: 'application/dicom+json' },
      body: new Uint8Array(body),
      signal: AbortSignal.timeout(patienceMs),
    })
    return await readAnswer(answer)
  } catch {
    return undefined
  }
}

/** Looks at one study or another, whoever is sending it at that moment. */
export async function keepReading(traffic: Traffic): Promise<void> {
  const { random, ledger, untilAt } = traffic
  while (Date.now() < untilAt) {
    const study = ledger.some(random)
    if (study !== undefined) {
      if (random.next() < 0.2) await retrieve(traffic, study, pick(traffic.world.hosts, random))
      else await look(traffic, study)
    }
    await sleep(random.between(0, 50))
  }
}

/** How many instances a search finds: all of a request, or none. */
async function look({ world, random, ledger }: Traffic, study: SentStudy): Promise<void> {
  const { server } = pick(world.hosts, random)
  const wrongWith = study.expectation()
  const found = await search(server.dicomWeb, study)
  ledger.count(found === undefined ? 'reads not answered' : 'reads')
  const wrong = found === undefined ? undefined : wrongWith(found)
  if (wrong !== undefined) ledger.wrong(`${study.studyInstanceUID}: ${wrong}`)
}

export async function search(dicomWeb: string, study: SentStudy): Promise<number | undefined> {
  try {
    const answer = await fetch(
      `${dicomWeb}/studies/${study.studyInstanceUID}/instances?limit=1000`,
      { signal: AbortSignal.timeout(patienceMs) },
    )
    if (answer.status === 204) return 0
    const found = await answer.json()
    return answer.status === 200 ? (found as unknown[]).length : undefined
  } catch {
    return undefined
  }
}

/** Whether the bytes are those that were sent, as far as they came. */
export async function retrieve(
  { ledger }: Traffic,
  study: SentStudy,
  { server }: Host,
): Promise<boolean> {
  const wrongWith = study.expectation()
  try {
    const answer = await fetch(`${server.dicomWeb}/studies/${study.studyInstanceUID}`, {
      headers: { accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' },
      signal: AbortSignal.timeout(patienceMs),
    })
    const body = Buffer.from(await answer.arrayBuffer())
    if (answer.status === 503) throw new Error('not now')
    const isThere = answer.status === 200
    const parts = isThere ? partsOf(answer.headers.get('content-type'), body) : []
    ledger.count('reads')
    const wrong = wrongWith(parts.length)
    if (wrong !== undefined) ledger.wrong(`${study.studyInstanceUID}: ${wrong}, retrieved`)
    const known = new Set(study.digests)
    const strange = parts.filter(({ bytes }) => !known.has(digestOf(bytes)))
    if (strange.length > 0)
      ledger.wrong(`${study.studyInstanceUID}: ${strange.length} instances are not what was sent`)
    return wrong === undefined && strange.length === 0
  } catch {
    ledger.count('reads not answered')
    return false
  }
}

function senderURL({ network }: Host): string {
  return `http://127.0.0.1:${network.port}/dicom-web`
}

function pick<T>(all: T[], random: SeededRandom): T {
  return all[Math.floor(random.next() * all.length)] as T
}
