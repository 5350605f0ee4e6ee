import { rename, rm, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { startOtlpReceiver } from '../support/otlp-receiver.ts'
import { startReceiver } from '../support/receiver.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { startSharedPostgres } from '../support/shared-postgres.ts'
import { stow } from '../support/stow.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const patient = { patientName: 'Operator^Olga', patientID: 'OPERATOR-1' }

/** Entries of a log of JSON; whatever else the process wrote is none. */
function entriesOf(server: StowageServer): Record<string, unknown>[] {
  return server.log
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

test('a study is found again in the log, the traces and the audit log, without its patient (P10)', async () => {
  await using collector = await startOtlpReceiver()
  await using hook = await startReceiver()
  await using server = await startServer({
    env: {
      STOWAGE_LOG_FORMAT: 'json',
      STOWAGE_LOG_LEVEL: 'debug',
      STOWAGE_QUIET_SECONDS: '0',
      STOWAGE_WEBHOOK_PRIVATE_ADDRESSES: 'on',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_SERVICE_NAME: 'archive-7',
    },
  })
  await fetch(`${server.url}/api/webhooks`, {
    method: 'POST',
    body: JSON.stringify({ url: hook.url, types: ['stable'], levels: ['study'] }),
  })

  // Large enough for a segment of its own.
  const studyInstanceUID = uniqueUID()
  const files = [1, 2, 3].map(() =>
    dicomFile({ studyInstanceUID, pixelBytes: 500_000, ...patient }),
  )
  const traceparent = `00-${traceId}-00f067aa0ba902b7-01`
  const answer = await stow(`${server.dicomWeb}/studies`, files, { traceparent })
  expect(answer.status).toBe(200)
  const requestID = answer.headers.get('x-request-id')
  const transferID = /transfers\/([\da-f-]{36})>/.exec(answer.headers.get('link') ?? '')?.[1]
  const study = `${server.dicomWeb}/studies/${studyInstanceUID}`
  await (await fetch(study, { headers: { accept: '*/*' } })).arrayBuffer()
  await fetch(`${server.dicomWeb}/studies?PatientName=Operator*&PatientID=OPERATOR-1`)
  await hook.until(() => hook.accepted.length > 0)
  const refused = await stow(`${server.dicomWeb}/studies`, [new Uint8Array(200)])
  expect(refused.status).toBe(409)
  // What is not yet written and not yet sent goes with the orderly end.
  await server.stop()

  const entries = entriesOf(server)
  expect(entries).toContainEqual(
    expect.objectContaining({
      level: 'debug',
      message: 'a request was answered',
      request: requestID,
      transfer: transferID,
      route: '/dicom-web/studies',
      status: 200,
    }),
  )
  expect(entries).toContainEqual(
    expect.objectContaining({
      level: 'info',
      message: 'nothing of a transfer was stored',
      request: refused.headers.get('x-request-id'),
      status: 409,
    }),
  )

  const [request] = collector.named('POST /dicom-web/studies')
  expect(request).toMatchObject({
    traceId,
    parentSpanId: '00f067aa0ba902b7',
    resource: { 'service.name': 'archive-7' },
    attributes: { 'stowage.request': requestID, 'stowage.transfer': transferID },
  })
  for (const part of ['part batch', 'seal', 'commit']) {
    const its = collector.named(part).filter((span) => span.traceId === traceId)
    expect(its, part).toMatchObject([{ parentSpanId: request?.spanId }])
  }
  expect(collector.named('settle').length).toBeGreaterThan(0)
  const [sent] = collector.named('webhook')
  expect(hook.accepted[0]?.headers.traceparent).toBe(`00-${sent?.traceId}-${sent?.spanId}-01`)
  expect(collector.text()).not.toMatch(/operator-1|olga/i)

  await server.start()
  const { events } = await (await fetch(`${server.url}/api/audit?limit=1000`)).json()
  const source = '127.0.0.1'
  expect(events).toMatchObject(
    [
      { action: 'start' },
      { action: 'configure', what: 'POST /api/webhooks', source },
      { action: 'store', studyInstanceUID, transferID, instanceCount: 3, source, outcome: 0 },
      { action: 'retrieve', studyInstanceUID, source },
      { action: 'search', source },
      { action: 'store', outcome: 4 },
      { action: 'stop' },
      { action: 'start' },
    ].map((event) => expect.objectContaining(event)),
  )
  expect(JSON.stringify(events)).not.toMatch(/operator-1|olga/i)
})

async function ready(server: StowageServer) {
  const answer = await fetch(`${server.url}/readyz`)
  return { code: answer.status, ...(await answer.json()) }
}

test('/readyz says when the store is away, and when it is back', async () => {
  await using server = await startServer()
  await rename(server.storeDir, `${server.storeDir}-away`)
  await writeFile(server.storeDir, '')
  expect(await ready(server)).toMatchObject({ code: 503, database: true, store: false })
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
  await rm(server.storeDir)
  await rename(`${server.storeDir}-away`, server.storeDir)
  expect(await ready(server)).toMatchObject({ code: 200 })
})

test('/readyz and /metrics say when the database is away, and when it is back', async () => {
  await using postgres = await startSharedPostgres()
  await using server = await startServer({ databaseURL: postgres.url })
  await postgres.stop()
  expect(await ready(server)).toMatchObject({ code: 503, database: false, store: true })
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  expect(metrics).toMatch(/^stowage_database_up 0$/m)
  await postgres.start()
  await server.until(async () => (await ready(server)).code === 200)
})
