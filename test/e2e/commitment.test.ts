import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toNativeDicomModel } from '../../server/dicom/json-to-xml.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { flipByte } from '../support/flip-byte.ts'
import { type StowageServer, startServer, temporaryFolder } from '../support/server.ts'
import type { StowAnswer } from '../support/stow.ts'
import {
  call,
  canary,
  ctImageStorage,
  type Dataset,
  expectNoPatientData,
  expectProblem,
  readNativeModel,
  Sender,
} from './dicomweb.ts'

interface Stored {
  studyInstanceUID: string
  seriesInstanceUID: string
  sopInstanceUID: string
}

const json = 'application/dicom+json'
const xml = 'application/dicom+xml'
let server: StowageServer

beforeAll(async () => {
  server = await startServer()
})

afterAll(async () => {
  expectNoPatientData(server.log)
  await server[Symbol.asyncDispose]()
})

/** Stores instances of one new study in requests of at most 2,000. */
async function store(count: number, to = server, pixelBytes = 64): Promise<Stored[]> {
  const [studyInstanceUID, seriesInstanceUID] = [uniqueUID(), uniqueUID()]
  const stored: Stored[] = []
  while (stored.length < count) {
    const more = Array.from({ length: Math.min(2000, count - stored.length) }, () => ({
      studyInstanceUID,
      seriesInstanceUID,
      sopInstanceUID: uniqueUID(),
    }))
    const files = more.map((one) => dicomFile({ ...one, ...canary, pixelBytes }))
    expect((await new Sender(to).send(files)).status).toBe(200)
    stored.push(...more)
  }
  return stored
}

function ui(value: string) {
  return { vr: 'UI', Value: [value] }
}

function sq(items: Dataset[]) {
  return { vr: 'SQ', Value: items }
}

/** Referenced SOP Sequence. */
function flat(instances: { sopInstanceUID: string; sopClassUID?: string }[]): Dataset {
  return {
    '00081199': sq(
      instances.map(({ sopInstanceUID, sopClassUID = ctImageStorage }) => ({
        '00081150': ui(sopClassUID),
        '00081155': ui(sopInstanceUID),
      })),
    ),
  }
}

/** Referenced Study Sequence, of instances of one series. */
function byStudy(instances: Stored[]): Dataset {
  const [first] = instances as [Stored]
  const references = instances.map((one) => ({
    '00081150': ui(ctImageStorage),
    '00081155': ui(one.sopInstanceUID),
  }))
  const ofClass = { '00081150': ui(ctImageStorage), '0008114A': sq(references) }
  const series = { '0020000E': ui(first.seriesInstanceUID), '00081112': sq([ofClass]) }
  return {
    '00081110': sq([{ '0020000D': ui(first.studyInstanceUID), '00081115': sq([series]) }]),
  }
}

async function request(
  body: unknown,
  { to = server, uid = uniqueUID(), type = json, accept = json } = {},
): Promise<StowAnswer & { uid: string }> {
  const answer = await call(`${to.dicomWeb}/commitment-requests/${uid}`, {
    method: 'POST',
    headers: { 'content-type': type, accept },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { ...answer, uid }
}

async function result(uid: string, to = server, accept = json): Promise<StowAnswer> {
  const url = `${to.dicomWeb}/commitment-requests/${uid}`
  let answer = await call(url, { headers: { accept } })
  await to.until(async () => {
    if (answer.status === 202) {
      expect(answer.body).toBe('')
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
      answer = await call(url, { headers: { accept } })
    }
    return answer.status !== 202
  })
  return answer
}

/** What a result says: UIDs of Referenced SOP Sequence; those of Failed SOP Sequence with their reasons. */
function saidOf(module: Dataset) {
  const items = (tag: string) => (module[tag]?.Value ?? []) as Dataset[]
  const value = (item: Dataset, tag: string) => item[tag]?.Value?.[0]
  return {
    committed: items('00081199').map((item) => value(item, '00081155')),
    failed: items('00081198').map((item) => [value(item, '00081155'), value(item, '00081197')]),
  }
}

describe('Storage commitment request (PS3.18 chapter 13)', () => {
  test('SC-R1, SC-R3, SC-R5: a small one is answered 200 with all that was committed', async () => {
    const instances = await store(3)
    const { status, headers, body } = await request(flat(instances))
    expect(status).toBe(200)
    expect(headers.get('content-type')).toBe(json)
    // The Transaction UID is in the path and nowhere else; what has no items is left out.
    expect(body).toEqual(flat(instances))
    const study = instances[0]?.studyInstanceUID
    const said = await call(`${server.url}/api/studies/${study}`)
    expect(said.body.commitment).toEqual({ state: 'all', committed: 3, failed: 0 })
    // Not by `call`: the feed names the patient.
    const url = `${server.url}/api/changes?type=committed&studyInstanceUID=${study}&wait=10`
    const feed = (await (await fetch(url)).json()) as { changes: object[] }
    expect(feed.changes).toMatchObject([{ committedCount: 3, instanceCount: 3 }])
  })

  test('the answer has the form of the request: by study down to the instances', async () => {
    const instances = await store(2)
    const { status, body } = await request(byStudy(instances))
    expect(status).toBe(200)
    expect(body).toEqual(byStudy(instances))
    const absent = { ...(instances[0] as Stored), sopInstanceUID: uniqueUID() }
    const failed = await request(byStudy([absent]))
    expect(failed.status).toBe(200)
    const expected = byStudy([absent])['00081110'] as { Value: Dataset[] }
    const reference = JSON.stringify(expected).replace(
      `["${absent.sopInstanceUID}"]}`,
      `["${absent.sopInstanceUID}"]},"00081197":{"vr":"US","Value":[274]}`,
    )
    expect(failed.body).toEqual({ '0008119B': JSON.parse(reference) })
  })

  test('SC-R4: XML is taken and answered, in either combination with JSON', async () => {
    const instances = await store(2)
    for (const dataset of [flat(instances), byStudy(instances)]) {
      const document = toNativeDicomModel(dataset as Parameters<typeof toNativeDicomModel>[0])
      const both = await request(document, { type: xml, accept: xml })
      expect(both.status).toBe(200)
      expect(both.headers.get('content-type')).toBe(xml)
      expect(readNativeModel(both.body)).toEqual(dataset)
      expect((await request(document, { type: xml })).body).toEqual(dataset)
      const asXML = await request(dataset, { accept: xml })
      expect(readNativeModel(asXML.body)).toEqual(dataset)
    }
  })

  test('SC-R4: a type that is not taken is 415, one that is not there 406; no Accept is JSON', async () => {
    const body = flat(await store(1))
    const refused = await request(body, { type: 'application/dicom' })
    expectProblem(refused, 415)
    expect(refused.headers.get('accept')).toContain(json)
    const unacceptable = await request(body, { accept: 'text/html' })
    expectProblem(unacceptable, 406)
    // Neither has used its Transaction UID.
    const url = `${server.dicomWeb}/commitment-requests/${unacceptable.uid}`
    const { stdout } = await promisify(execFile)('curl', [
      ...['-s', '-H', 'Accept:', '-H', `Content-Type: ${json}`],
      ...['-d', JSON.stringify([body]), '-w', '%{http_code} %{content_type}', url],
    ])
    expect(stdout).toContain(`200 ${json}`)
    expect(stdout.startsWith(JSON.stringify(body))).toBe(true)
  })

  test('SC-R7: unknown, of another class, and damaged ones fail alone, each with its reason', async () => {
    const [good, wrong, damaged] = (await store(3, server, 2_000_000)) as [Stored, Stored, Stored]
    await flipByte(server, damaged.sopInstanceUID)
    const unknown = { sopInstanceUID: uniqueUID() }
    const directory = { sopInstanceUID: uniqueUID(), sopClassUID: '1.2.840.10008.1.3.10' }
    const mr = '1.2.840.10008.5.1.4.1.1.4'
    const asked = flat([unknown, damaged, { ...wrong, sopClassUID: mr }, good, directory])
    const { status, body } = await request(asked)
    expect(status).toBe(200)
    expect(saidOf(body)).toEqual({
      committed: [good.sopInstanceUID],
      failed: [
        [unknown.sopInstanceUID, 0x0112],
        [damaged.sopInstanceUID, 0x0110],
        [wrong.sopInstanceUID, 0x0119],
        [directory.sopInstanceUID, 0x0122],
      ],
    })
    const study = await call(`${server.url}/api/studies/${good.studyInstanceUID}`)
    expect(study.body.commitment).toEqual({ state: 'failed', committed: 1, failed: 1 })
  })

  test('one that fails as a whole is 200, too', async () => {
    const { status, body } = await request(flat([{ sopInstanceUID: '1.2.3' }]))
    expect(status).toBe(200)
    expect(saidOf(body)).toEqual({ committed: [], failed: [['1.2.3', 274]] })
  })

  test.each([
    ['no JSON', '{', /./],
    ['nothing', {}, /neither Referenced SOP Sequence nor Referenced Study Sequence/],
    ['an empty sequence', { '00081199': { vr: 'SQ' } }, /Referenced SOP Sequence of it is empty/],
    ['both forms', { ...flat([{ sopInstanceUID: '1.2' }]), '00081110': sq([]) }, /both/],
    ['two objects', [{}, {}], /array of 2/],
    [
      'an item without an instance',
      { '00081199': sq([{ '00081150': ui('1.2') }]) },
      /item 1 of Referenced SOP Sequence has no Referenced SOP Instance UID/,
    ],
    [
      'an instance twice',
      flat([{ sopInstanceUID: '1.2.3' }, { sopInstanceUID: '1.2.4' }, { sopInstanceUID: '1.2.3' }]),
      /instance 1\.2\.3 is listed twice/,
    ],
    ['no UID', flat([{ sopInstanceUID: 'CANARY-ID-4711' }]), /item 1 .* is no UID/],
    [
      'a study without series',
      { '00081110': sq([{ '0020000D': ui('1.2') }]) },
      /item 1 of Referenced Study Sequence has no Referenced Series Sequence/,
    ],
  ])('with %s is 400, which says what is wrong', async (_, body, detail) => {
    const answer = await request(body as object)
    expectProblem(answer, 400)
    expect(answer.body.detail).toMatch(detail)
    const still = await call(`${server.dicomWeb}/commitment-requests/${answer.uid}`)
    expectProblem(still, 404)
  })

  test('to a path without a UID is 400, of a body that is too large 413, with another method 405', async () => {
    const body = flat([{ sopInstanceUID: '1.2.3' }])
    expectProblem(await request(body, { uid: 'abc' }), 400)
    expectProblem(await request(' '.repeat(17 * 1024 * 1024)), 413)
    const put = await call(`${server.dicomWeb}/commitment-requests/1.2.3`, { method: 'PUT' })
    expectProblem(put, 405)
  })

  test('SC-R9, SC-R11: of many with one Transaction UID one is accepted, also when they are identical', async () => {
    const body = flat(await store(2))
    const uid = uniqueUID()
    const answers = await Promise.all(Array.from({ length: 8 }, () => request(body, { uid })))
    const statuses = answers.map(({ status }) => status).sort()
    expect(statuses).toEqual([200, ...Array.from({ length: 7 }, () => 409)])
    expectProblem(await request(body, { uid }), 409)
    expect((await result(uid)).body).toEqual(body)
  })

  test('of 10,000 instances is answered in full, and 100 requests at once are', async () => {
    const instances = await store(10_000)
    const large = await request(flat(instances))
    const answer = large.status === 202 ? await result(large.uid) : large
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual(flat(instances))
    const asked = Array.from({ length: 100 }, (_, n) => instances.slice(n * 20, n * 20 + 40))
    const answers = await Promise.all(asked.map((some) => request(flat(some))))
    for (const [n, one] of answers.entries()) {
      const said = one.status === 202 ? await result(one.uid) : one
      expect(said.body).toEqual(flat(asked[n] as Stored[]))
    }
  })
})

describe('Result check (PS3.18 13.5)', () => {
  test('SC-R2, SC-R6, SC-R8: tells the same result each time, in any type; HEAD works', async () => {
    const instances = await store(2)
    const { uid, body } = await request(flat(instances))
    for (let n = 0; n < 2; n++) expect((await result(uid)).body).toEqual(body)
    const asXML = await result(uid, server, xml)
    expect(readNativeModel(asXML.body)).toEqual(body)
    const url = `${server.dicomWeb}/commitment-requests/${uid}`
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(200)
    expectProblem(await call(url, { headers: { accept: 'text/html' } }), 406)
  })

  test('of an unknown UID is 404, of none 400, of a result that was discarded 410 (SC-R8)', async () => {
    const results = `${server.dicomWeb}/commitment-requests`
    expectProblem(await call(`${results}/${uniqueUID()}`), 404)
    expectProblem(await call(`${results}/1.02`), 400)
    const { uid } = await request(flat(await store(1)))
    await using sql = await server.connect()
    await sql`
      update commitments set finished_at = now() - interval '91 days' where transaction_uid = ${uid}`
    await sql`select discard_commitment(90 * 86400)`
    expectProblem(await call(`${results}/${uid}`), 410)
    expectProblem(await request(flat([{ sopInstanceUID: '1.2.3' }]), { uid }), 409)
  })
})

describe('/api/commitments', () => {
  test('lists requests with what became of them, and tells the failures of one', async () => {
    const [one] = (await store(1)) as [Stored]
    const absent = uniqueUID()
    const { uid } = await request(flat([one, { sopInstanceUID: absent }]))
    const list = await call(`${server.url}/api/commitments?limit=1`)
    expect(list.body.commitments).toMatchObject([
      {
        transactionUID: uid,
        state: 'finished',
        instanceCount: 2,
        committedCount: 1,
        failedCount: 1,
        requester: '127.0.0.1',
      },
    ])
    const of = `studyInstanceUID=${one.studyInstanceUID}`
    const ofStudy = await call(`${server.url}/api/commitments?${of}&state=finished`)
    expect(ofStudy.body.commitments).toHaveLength(1)
    const told = await call(`${server.url}/api/commitments/${uid}`)
    expect(told.body).toMatchObject({
      studies: [{ studyInstanceUID: one.studyInstanceUID, committedCount: 1, failedCount: 0 }],
      failures: [{ sopInstanceUID: absent, failureReason: 274, failureReasonHex: '0112' }],
    })
    expectProblem(await call(`${server.url}/api/commitments/${uniqueUID()}`), 404)
    expectProblem(await call(`${server.url}/api/commitments?state=none`), 400)
  })
})

describe('POST /api/studies/{study}/verify', () => {
  test('reads a study again, tells what is damaged, and when it is whole again', async () => {
    const instances = await store(5, server, 300_000)
    const [first, second] = instances as [Stored, Stored]
    await request(flat(instances))
    const url = `${server.url}/api/studies/${first.studyInstanceUID}`
    const verify = () => call(`${url}/verify`, { method: 'POST' })
    expect((await verify()).body).toMatchObject({ instanceCount: 5, damagedCount: 0, faults: [] })
    await flipByte(server, second.sopInstanceUID)
    const { body } = await verify()
    expect(body).toMatchObject({ instanceCount: 5, damagedCount: 1 })
    expect(body.faults).toEqual([{ sopInstanceUID: second.sopInstanceUID, finding: 'differs' }])
    expect((await call(url)).body.commitment).toEqual({ state: 'failed', committed: 5, failed: 1 })
    expect(saidOf((await request(flat([second]))).body).failed).toEqual([
      [second.sopInstanceUID, 0x0110],
    ])
    await flipByte(server, second.sopInstanceUID)
    expect((await verify()).body).toMatchObject({ damagedCount: 0 })
    expect((await call(url)).body.commitment).toEqual({ state: 'all', committed: 5, failed: 0 })
    expectProblem(await call(`${server.url}/api/studies/1.2.3/verify`, { method: 'POST' }), 404)
  })
})

describe('a server that is killed while a request waits (SC-R5, SC-R10)', () => {
  const env = { STOWAGE_COMMITMENT_WAIT_BYTES: '0', STOWAGE_LEASE_SECONDS: '3' }

  test('has it finished after its next start', async () => {
    await using one = await startServer({ env })
    const instances = await store(500, one, 20_000)
    const { status, headers, body, uid } = await request(flat(instances), { to: one })
    expect(status).toBe(202)
    expect(body).toBe('')
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    await one.kill()
    await one.start()
    expect((await result(uid, one)).body).toEqual(flat(instances))
    expectProblem(await request(flat(instances), { to: one, uid }), 409)
  })

  test('has it finished by another one, which tells the result', async () => {
    const shared = { ...env, STOWAGE_STORE_DIR: await temporaryFolder() }
    await using one = await startServer({ env: shared })
    const instances = await store(500, one, 20_000)
    const asked = await request(flat(instances), { to: one })
    await one.kill()
    // An embedded Postgres outlives its server.
    const said = /ready .*database="?(postgresql:[^\s"]+)/.exec(one.log)?.[1]
    await using other = await startServer({
      env: shared,
      databaseURL: one.databaseURL ?? (said as string),
    })
    expect((await result(asked.uid, other)).body).toEqual(flat(instances))
  })
})
