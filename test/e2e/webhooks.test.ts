import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Webhook as Verifier } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { hasOpenSSL, makeCertificate } from '../support/certificate.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'
import {
  externalDatabaseURL,
  type StowageServer,
  startServer,
  temporaryFolder,
} from '../support/server.ts'
import { stow } from '../support/stow.ts'

const allowed = { STOWAGE_WEBHOOK_PRIVATE_ADDRESSES: 'on', STOWAGE_WEBHOOK_TIMEOUT_SECONDS: '1' }

async function ask(server: StowageServer, method: string, path: string, body?: unknown) {
  const answer = await fetch(`${server.url}/api/webhooks${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    // biome-ignore lint/suspicious/noExplicitAny: what each test asks for.
    json: (text === '' ? undefined : JSON.parse(text)) as any,
  }
}

async function add(server: StowageServer, body: object): Promise<{ id: string; secret: string }> {
  const { status, json } = await ask(server, 'POST', '', body)
  expect(status).toBe(201)
  return { id: json.webhookID, secret: json.secret }
}

async function sendStudy(server: StowageServer, studyInstanceUID = uniqueUID()): Promise<string> {
  const file = dicomFile({
    studyInstanceUID,
    seriesInstanceUID: `${studyInstanceUID}.1`,
    patientID: 'SECRET-ID',
    patientName: 'SECRET^NAME',
  })
  const { status } = await stow(`${server.dicomWeb}/studies`, [file])
  expect(status).toBe(200)
  return studyInstanceUID
}

/** The seqs that a receiver accepted of a study, without repeats, in the order in which they came. */
function seqsOf(receiver: Receiver, studyInstanceUID: string): number[] {
  const of = receiver.accepted.filter(
    ({ message }) => message.data.studyInstanceUID === studyInstanceUID,
  )
  return [...new Set(of.map(({ message }) => message.data.seq as number))]
}

const inOrder = (numbers: number[]) => [...numbers].sort((a, b) => a - b)

describe('webhooks over HTTP (issue 5, point 6)', () => {
  test('are added, read, changed, paused and deleted; the secret is shown once, and verifies what comes', async () => {
    await using receiver = await startReceiver()
    await using server = await startServer({ env: allowed })
    const added = await ask(server, 'POST', '', {
      url: receiver.url,
      types: ['new'],
      levels: ['study'],
    })
    expect(added.status).toBe(201)
    expect(added.json).toMatchObject({
      webhookID: expect.any(String),
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
      types: ['new'],
      levels: ['study'],
      paused: false,
    })
    const { webhookID, secret } = added.json
    expect(added.headers.get('location')).toBe(`${server.url}/api/webhooks/${webhookID}`)

    const studyInstanceUID = await sendStudy(server)
    await receiver.until(() => receiver.accepted.length === 1)
    const [got] = receiver.accepted
    expect(new Verifier(secret).verify(got?.text ?? '', got?.headers ?? {})).toMatchObject({
      type: 'study.new',
      data: { studyInstanceUID, type: 'new', level: 'study' },
    })
    await server.until(
      async () => (await ask(server, 'GET', `/${webhookID}`)).json.deliveredCount === 1,
    )
    for (const path of ['', `/${webhookID}`]) {
      const { text } = await ask(server, 'GET', path)
      expect(text).toContain(webhookID)
      expect(text).not.toMatch(/whsec|secret/)
    }

    const replaced = await ask(server, 'POST', `/${webhookID}/secret`, { oldSeconds: 60 })
    expect(replaced.json).toEqual({
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
      oldSecretUntil: expect.any(String),
    })
    expect(replaced.json.secret).not.toBe(secret)
    expect((await ask(server, 'POST', `/${webhookID}/secret`, { oldSeconds: -1 })).status).toBe(400)
    expect((await ask(server, 'GET', `/${webhookID}`)).text).not.toMatch(/whsec|ecret"/)

    const paused = await ask(server, 'PATCH', `/${webhookID}`, { paused: true, levels: null })
    expect(paused.json).toMatchObject({ paused: true })
    expect(paused.json).not.toHaveProperty('levels')
    const second = await sendStudy(server)
    await ask(server, 'PATCH', `/${webhookID}`, { paused: false })
    await receiver.until(() => seqsOf(receiver, second).length === 2)
    expect((await ask(server, 'DELETE', `/${webhookID}`)).status).toBe(204)
    expect((await ask(server, 'GET', `/${webhookID}`)).status).toBe(404)
    expect(server.log).not.toContain('SECRET')
  })

  test('bad input is refused with what is wrong with it', async () => {
    await using server = await startServer()
    const post = (body: unknown) => ask(server, 'POST', '', body)
    for (const [body, wrong] of [
      [[], 'no JSON object'],
      [{}, '"url"'],
      [{ url: 'stowage' }, '"url" is no URL'],
      [{ url: 'ftp://example.org/' }, 'neither http nor https'],
      [{ url: 'https://me:you@example.org/' }, 'a user'],
      [{ url: 'http://127.0.0.1:9/' }, 'STOWAGE_WEBHOOK_PRIVATE_ADDRESSES'],
      [{ url: 'http://[::1]/' }, 'private'],
      [{ url: 'http://2130706433/' }, 'private'],
      [{ url: 'http://localhost/' }, 'private'],
      [{ url: 'https://example.org/', types: ['old'] }, '"types"'],
      [{ url: 'https://example.org/', levels: [] }, '"levels"'],
      [{ url: 'https://example.org/', paused: 1 }, '"paused"'],
      [{ url: 'https://example.org/', since: 7 }, 'last change has the seq'],
      [{ url: 'https://example.org/', colour: 'red' }, '"colour"'],
    ] as const) {
      const { status, json } = await post(body)
      expect([status, json.detail]).toEqual([400, expect.stringContaining(wrong)])
    }
    expect((await post({ url: `https://example.org/${'x'.repeat(70_000)}` })).status).toBe(413)
    const unknown = '/00000000-0000-4000-8000-000000000000'
    expect((await ask(server, 'GET', unknown)).status).toBe(404)
    expect((await ask(server, 'DELETE', '/7')).status).toBe(404)
    expect((await ask(server, 'GET', `${unknown}/deliveries`)).status).toBe(404)
    expect((await ask(server, 'POST', `${unknown}/deliveries/7/resend`)).status).toBe(404)
    const { json } = await post({ url: 'https://example.org/', paused: true })
    const bad = await ask(server, 'GET', `/${json.webhookID}/deliveries?state=lost`)
    expect([bad.status, bad.json.detail]).toEqual([400, expect.stringContaining('"state"')])
  })

  test('an administrator sees what is dead, sends it again or gives it up', async () => {
    await using receiver = await startReceiver(() => 500)
    await using server = await startServer({ env: allowed })
    await using sql = await server.connect()
    const { id } = await add(server, { url: receiver.url, levels: ['study', 'series'] })
    const studyInstanceUID = await sendStudy(server)
    await receiver.until(() => receiver.received.length === 1)
    // The next attempt is the last one, and now.
    const isLast = async () =>
      (
        await sql`
        update webhook_deliveries set attempts = 10, due_at = now() where state = 'waiting'`
      ).count === 1
    await server.until(isLast)
    const deadOf = async () => (await ask(server, 'GET', `/${id}/deliveries?state=dead`)).json
    await server.until(async () => (await deadOf()).deliveries.length === 1)
    const { deliveries, done } = await deadOf()
    expect({ deliveries, done }).toMatchObject({
      deliveries: [{ studyInstanceUID, state: 'dead', lastStatus: 500, attempts: 11 }],
      done: true,
    })
    expect(JSON.stringify(deliveries)).not.toContain('SECRET')
    expect((await ask(server, 'GET', '')).json.webhooks).toMatchObject([
      { deliveries: { dead: 1, held: 2, waiting: 0, sending: 0 } },
    ])
    receiver.behaviour = () => 200
    const { seq } = deliveries[0]
    expect((await ask(server, 'POST', `/${id}/deliveries/${seq}/resend`)).status).toBe(202)
    await receiver.until(() => seqsOf(receiver, studyInstanceUID).length === 3)
    const seqs = seqsOf(receiver, studyInstanceUID)
    expect(seqs).toEqual(inOrder(seqs))
    expect((await ask(server, 'DELETE', `/${id}/deliveries/${seq}`)).status).toBe(404)
    expect((await ask(server, 'POST', `/${id}/resend`)).json).toEqual({ resent: 0 })
    expect(server.log).not.toContain('SECRET')
  })

  test('a receiver that restarts, and a server that is killed while it waits for an answer: nothing is lost', async () => {
    await using receiver = await startReceiver(() => 'hang')
    await using server = await startServer({ env: allowed })
    const { id } = await add(server, { url: receiver.url, levels: ['study', 'series'] })
    const first = await sendStudy(server)
    await receiver.until(() => receiver.received.length === 1)
    await server.kill()
    await receiver.stop()
    receiver.behaviour = () => 200
    await server.start()
    const second = await sendStudy(server)
    // It is refused now, and the other one belongs to a server that died.
    await server.until(async () => (await ask(server, 'GET', `/${id}`)).json.failedAttemptCount > 0)
    await receiver.start()
    await receiver.until(
      () => [first, second].every((study) => seqsOf(receiver, study).length === 3),
      90,
    )
    for (const study of [first, second]) {
      expect(seqsOf(receiver, study)).toEqual(inOrder(seqsOf(receiver, study)))
    }
    await server.until(async () => {
      const { deliveries } = (await ask(server, 'GET', `/${id}/deliveries`)).json
      return deliveries.length === 0
    })
  })
})

describe.skipIf(!hasOpenSSL)('a receiver over TLS (skipped without openssl)', () => {
  test('is told only when its certificate fits its name and comes from an authority that is known', async () => {
    const folder = await temporaryFolder()
    await using good = await startReceiver(undefined, await certificateFor('localhost', folder))
    await using other = await startReceiver(undefined, await certificateFor('example.org', folder))
    await using unknown = await startReceiver(
      undefined,
      await certificateFor('localhost', await temporaryFolder()),
    )
    const authorities = join(folder, 'all.pem')
    const known = [good, other].map(({ tls }) => tls?.cert.toString())
    await writeFile(authorities, known.join(''))
    const env = { ...allowed, NODE_EXTRA_CA_CERTS: authorities, DENO_CERT: authorities }
    await using server = await startServer({ env })
    const ids: string[] = []
    for (const { url } of [other, unknown, good]) {
      ids.push((await add(server, { url, types: ['new'], levels: ['study'] })).id)
    }
    await sendStudy(server)
    await good.until(() => good.accepted.length === 1)
    for (const id of ids.slice(0, 2)) {
      await server.until(
        async () => (await ask(server, 'GET', `/${id}`)).json.failedAttemptCount > 0,
      )
    }
    const errors = (await ask(server, 'GET', '')).json.webhooks.map(
      ({ lastError }: { lastError?: string }) => lastError,
    )
    expect(errors).toEqual([
      'no answer (ERR_TLS_CERT_ALTNAME_INVALID)',
      'no answer (DEPTH_ZERO_SELF_SIGNED_CERT)',
      undefined,
    ])
    expect([other.received, unknown.received]).toEqual([[], []])
  })
})

async function certificateFor(
  name: string,
  folder: string,
): Promise<{ key: Buffer; cert: Buffer }> {
  const { certFile, keyFile } = await makeCertificate(folder, name, `DNS:${name}`)
  return { key: await readFile(keyFile), cert: await readFile(certFile) }
}

describe.skipIf(externalDatabaseURL === undefined)('servers that share a database', () => {
  test('share the work of a webhook, and go on when one of them is killed', async () => {
    const env = { ...allowed, STOWAGE_STORE_DIR: await temporaryFolder() }
    await using receiver = await startReceiver()
    await using first = await startServer({ env })
    await using second = await startServer({ env, databaseURL: first.databaseURL })
    await add(first, { url: receiver.url })
    const studies: string[] = []
    for (let n = 0; n < 10; n++) studies.push(await sendStudy(n % 2 === 0 ? first : second))
    await receiver.until(() => studies.every((study) => seqsOf(receiver, study).length >= 3))
    receiver.behaviour = () => 'hang'
    const before = receiver.received.length
    for (let n = 0; n < 10; n++) studies.push(await sendStudy(n % 2 === 0 ? first : second))
    await receiver.until(() => receiver.received.length > before + 10)
    await second.kill()
    receiver.behaviour = () => 200
    await sendStudy(first, studies[0])
    await receiver.until(() => studies.every((study) => seqsOf(receiver, study).length >= 3), 90)
    await using sql = await first.connect()
    await receiver.until(async () => {
      const [row] = await sql`select count(*)::integer as count from webhook_deliveries`
      return row?.count === 0
    }, 90)
    const changes = await sql`select seq, study_instance_uid from changes order by seq`
    for (const study of studies) {
      const own = changes.filter((one) => one.study_instance_uid === study)
      expect(seqsOf(receiver, study)).toEqual(own.map(({ seq }) => Number(seq)))
    }
  })
})
