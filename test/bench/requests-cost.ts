// What a request costs beside its database, its store and the reading of DICOM: from the socket to the route and back.
// Run: node --import tsx test/bench/requests-cost.ts [--rounds 7] [--requests 5000] [CHECKOUT ...]
//
// Each server is a process of its own, whose processor time is taken; beside Stowage a bare node:http server that takes and
// gives the same bytes. With other checkouts as arguments these are measured too, in turns, so that changes can be compared.
// Eight connections, each sending its next request when it has its answer.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { instance, storedBytes } from './requests-cost-instance.ts'

const connections = 8
const warmRequests = 8000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    requests: { type: 'string', default: '5000' },
    only: { type: 'string' },
  },
})

const studies = '/dicom-web/studies'
const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = instance
const common = ['Host: localhost:8104', 'User-Agent: bench/1.0', 'Connection: keep-alive']
const boundary = 'bench-4f1c7a52d0'
const body = Buffer.concat([
  Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`),
  storedBytes.subarray(0, 2000),
  Buffer.from(`\r\n--${boundary}--\r\n`),
])
const requests = {
  POST: request(
    `POST ${studies}`,
    [
      'Accept: application/dicom+json',
      `Content-Type: multipart/related; type="application/dicom"; boundary=${boundary}`,
      `Content-Length: ${body.length}`,
    ],
    body,
  ),
  GET: request(
    `GET ${studies}/${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`,
    ['Accept: multipart/related; type="application/dicom"; transfer-syntax=*'],
  ),
}
type Kind = keyof typeof requests

function request(line: string, headers: string[], content = Buffer.alloc(0)): Buffer {
  const head = [`${line} HTTP/1.1`, ...common, ...headers, '', ''].join('\r\n')
  return Buffer.concat([Buffer.from(head), content])
}

interface Server {
  name: string
  process: ChildProcess
  port: number
  figures: Record<Kind, { user: number; system: number }[]>
}

const servers: Server[] = []
for (const name of ['bare', '.', ...positionals]) servers.push(await start(name))
const kinds = (['POST', 'GET'] as const).filter((kind) => (values.only ?? kind) === kind)
for (const server of servers) for (const kind of kinds) await load(server, kind, warmRequests)
for (let round = 0; round < Number(values.rounds); round++) {
  for (const kind of kinds) {
    for (const server of servers) {
      const before = await usageOf(server)
      await load(server, kind, Number(values.requests))
      const after = await usageOf(server)
      const user = (after.user - before.user) / Number(values.requests)
      const system = (after.system - before.system) / Number(values.requests)
      server.figures[kind].push({ user, system })
    }
  }
}
for (const kind of kinds) {
  console.log(
    `${kind}: µs of processor time, in user mode and in the system; user mode in each round`,
  )
  for (const { name, figures } of servers) {
    const all = figures[kind].map(({ user }) => user.toFixed(0)).join(' ')
    const [user, system] = (['user', 'system'] as const).map((mode) =>
      median(figures[kind].map((figure) => figure[mode])).toFixed(0),
    )
    console.log(`  ${user} + ${system} ${name} (${all})`)
  }
}
for (const server of servers) server.process.disconnect()

async function start(name: string): Promise<Server> {
  const child = fork(await compiled(name), [name], { execArgv: [] })
  const [port] = await once(child, 'message')
  return { name, process: child, port, figures: { POST: [], GET: [] } }
}

/** The server with what it imports, of that checkout, made as `bin/compile.mjs` does: tsx gives each function its name anew. */
async function compiled(checkout: string): Promise<string> {
  const outfile = fileURLToPath(
    new URL(`../../node_modules/.requests-cost/${servers.length}.mjs`, import.meta.url),
  )
  await build({
    entryPoints: [fileURLToPath(new URL('./requests-cost-server.ts', import.meta.url))],
    outfile,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    plugins: [
      {
        name: 'of another checkout',
        setup({ onResolve }) {
          onResolve({ filter: /^\.\.\/\.\.\/server\// }, ({ path, importer }) =>
            checkout !== 'bare' && importer.endsWith('requests-cost-server.ts')
              ? { path: resolve(checkout, path.slice('../../'.length)) }
              : undefined,
          )
        },
      },
    ],
  })
  return outfile
}

async function usageOf({ process: child }: Server): Promise<NodeJS.CpuUsage> {
  child.send('now')
  return (await once(child, 'message'))[0]
}

async function load({ port }: Server, kind: Kind, count: number): Promise<void> {
  const each = Math.ceil(count / connections)
  await Promise.all(Array.from({ length: connections }, () => ask(port, requests[kind], each)))
}

function ask(port: number, bytes: Buffer, count: number): Promise<void> {
  return new Promise((done, reject) => {
    const socket: Socket = connect(port, '127.0.0.1')
    let left = count
    let answerBytes = 0
    let awaitedBytes = Number.POSITIVE_INFINITY
    socket.on('error', reject)
    socket.on('connect', () => socket.write(bytes))
    socket.on('data', (chunk) => {
      if (answerBytes === 0) awaitedBytes = lengthOf(chunk)
      answerBytes += chunk.length
      if (answerBytes < awaitedBytes) return
      answerBytes = 0
      if (--left > 0) return socket.write(bytes)
      socket.end()
      done()
    })
  })
}

function lengthOf(chunk: Buffer): number {
  const head = chunk.toString('latin1')
  const [, length] = /content-length: (\d+)/i.exec(head) ?? []
  if (!head.startsWith('HTTP/1.1 200') || length === undefined) throw new Error(head)
  return head.indexOf('\r\n\r\n') + 4 + Number(length)
}

function median(figures: number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] as number
}
