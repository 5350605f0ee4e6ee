// A server of `requests-cost.ts`, in a process of its own: Stowage with an intake, a database and a store that do nothing,
// or a bare node:http server that takes and gives the same bytes. Each message is answered with the processor time until then.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Credentials } from '../../server/access/credentials.ts'
import { type AppDeps, createApp } from '../../server/app.ts'
import { Audit } from '../../server/audit/audit.ts'
import { listenNodeHttp } from '../../server/listen/node-http.ts'
import { silentLog as log } from '../../server/log.ts'
import { Metrics } from '../../server/metrics/metrics.ts'
import { noTracing as tracing } from '../../server/trace.ts'
import { instance, storedBytes } from './requests-cost-instance.ts'

async function bare(): Promise<number> {
  const answers = {
    GET: { type: 'multipart/related; type="application/dicom"; boundary=x', bytes: storedBytes },
    POST: { type: 'application/dicom+json', bytes: Buffer.alloc(600, ' ') },
  }
  const server = createServer((incoming, outgoing) => {
    incoming.on('data', () => {})
    incoming.on('end', () => {
      const { type, bytes } = answers[incoming.method as 'GET' | 'POST']
      outgoing.writeHead(200, { 'content-type': type, 'content-length': bytes.length }).end(bytes)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function stowage(): Promise<number> {
  const rows = [{ ...instance, digest: Buffer.alloc(32) }]
  const db = { sql: async () => rows, orm: {} } as never
  const deps = {
    db,
    log,
    tracing,
    store: {
      readInto: async (_: string, __: number, into: Uint8Array) => into.set(storedBytes),
    },
    intake: { open: async () => transfer },
    credentials: new Credentials({ db, log }),
    metrics: new Metrics({ db, log }),
    audit: new Audit({ db, log }),
    handling: 'strict',
    limits: {
      requestBytes: 1e9,
      inflateRatio: 100,
      idleMs: 60_000,
      parts: 1000,
      partBytes: 1e9,
      requests: 1000,
    },
    webhooks: { isPrivateAllowed: false },
    names: ['localhost'],
    baseURLPolicy: { baseURL: undefined, isTrustedProxy: () => false },
  } as unknown as AppDeps
  const { port } = await listenNodeHttp(createApp(deps).fetch, {
    hostname: '127.0.0.1',
    port: 0,
    maxConnections: 1000,
    onFault: console.error,
  })
  return port
}

const outcome = {
  transferID: randomUUID(),
  state: 'committed',
  stored: [{ ...instance, position: 1, duplicate: false }],
  refused: [],
}

const transfer = {
  transferID: outcome.transferID,
  partCount: 1,
  receivedBytes: 0,
  beginPart() {},
  push() {},
  async drain() {},
  endPart() {},
  commit: async () => outcome,
}

const port = await (process.argv[2] === 'bare' ? bare() : stowage())
process.on('message', () => process.send?.(process.cpuUsage()))
process.on('disconnect', () => process.exit())
process.send?.(port)
