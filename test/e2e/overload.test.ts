import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { foundOf, testStudy } from '../support/archive.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { multipartBody, multipartType, requestHead, stow } from '../support/stow.ts'

let server: StowageServer

// Small enough to be met by a test.
const env = {
  STOWAGE_MAX_TRANSFERS: '9',
  STOWAGE_MAX_UNCOMMITTED_BYTES: '9MiB',
  STOWAGE_MAX_REQUESTS: '6',
  STOWAGE_DATABASE_CONNECTIONS: '2',
  STOWAGE_IDLE_SECONDS: '2',
  STOWAGE_MAX_CONNECTIONS: '600',
  STOWAGE_TRUST_PROXY: '127.0.0.1',
}

beforeAll(async () => {
  server = await startServer({ env })
})

afterEach(async () => {
  await server.until(async () => (await openCount()) === 0)
})

afterAll(async () => {
  expect(server?.log).not.toMatch(/unhandled|^\S+ error/im)
  await server?.[Symbol.asyncDispose]()
})

const MiB = 2 ** 20

/** One who is behind a trusted proxy, so that each has an address of its own. */
const from = (address: string) => ({ 'x-forwarded-for': address })

/** A connection, and what came over it. */
class Peer implements Disposable {
  readonly socket: Socket
  heard = ''
  isClosed = false

  constructor() {
    this.socket = connect(server.port, '127.0.0.1')
    this.socket.on('data', (bytes) => {
      this.heard += bytes.toString('latin1')
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.isClosed = true
    })
  }

  get status(): number | undefined {
    const [, code] = /^HTTP\/1\.1 (?!100)(\d+)/m.exec(this.heard) ?? []
    return code === undefined ? undefined : Number(code)
  }

  #isWhole(): boolean {
    const [, headers = '', body] =
      /^(HTTP\/1\.1 (?!100)[\s\S]*?)\r\n\r\n([\s\S]*)$/m.exec(this.heard) ?? []
    const length = /\r\ncontent-length: (\d+)/i.exec(headers)?.[1]
    return body !== undefined && (length === undefined || body.length >= Number(length))
  }

  async answer(): Promise<string> {
    await server.until(async () => this.isClosed || this.#isWhole())
    return this.heard
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}

/** Announces a body, and sends nothing of it but its beginning, again and again so that it is never too slow. */
class HeldTransfer extends Peer {
  readonly #timer: NodeJS.Timeout

  constructor(address: string, contentLength = MiB / 4) {
    super()
    this.socket.write(
      requestHead('/dicom-web/studies', { ...from(address), 'content-length': contentLength }),
    )
    this.socket.write(multipartBody(testStudy(1, 9000).files).subarray(0, 5000))
    this.#timer = setInterval(() => this.socket.write('x'.repeat(2000)), 500)
  }

  override [Symbol.dispose](): void {
    clearInterval(this.#timer)
    super[Symbol.dispose]()
  }
}

async function residentBytes(pid = server.pid): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024
}

const openCount = async (): Promise<number> =>
  Number(/^stowage_server_open_transfers (\d+)/m.exec(await metrics())?.[1])
const metrics = async () => (await fetch(`${server.url}/metrics`)).text()
const refusals = async (limit: string, of: string): Promise<number> =>
  Number(
    new RegExp(
      `^stowage_overload_refusals_total\\{limit="${limit}",of="${of}"\\} (\\d+)`,
      'm',
    ).exec(await metrics())?.[1] ?? 0,
  )

const store = (address: string, study = testStudy(1)) =>
  stow(`${server.dicomWeb}/studies`, study.files, from(address))

function expectOverload(answer: string, limit: string, of: string): void {
  expect(answer).toMatch(/^HTTP\/1\.1 503 /)
  expect(answer).toMatch(/\r\nretry-after: \d+\r\n/i)
  expect(answer).not.toMatch(/100 Continue/i)
  expect(JSON.parse(answer.slice(answer.indexOf('{')))).toMatchObject({ status: 503, limit, of })
}

describe('A greedy sender (P3)', () => {
  test('gets its share of the transfers, told so before the body; others are served', async () => {
    const held: HeldTransfer[] = []
    try {
      // Two thirds of nine.
      for (let n = 1; n <= 6; n++) {
        held.push(new HeldTransfer('10.0.0.1'))
        await server.until(async () => (await openCount()) === n)
      }
      const before = await refusals('transfers', 'sender')
      for (const more of [{}, { expect: '100-continue' }]) {
        using one = new Peer()
        const headers = { ...from('10.0.0.1'), ...more, 'content-length': 1e6 }
        one.socket.write(requestHead('/dicom-web/studies', headers))
        expectOverload(await one.answer(), 'transfers', 'sender')
      }
      expect(await refusals('transfers', 'sender')).toBe(before + 2)
      const other = testStudy(2)
      expect((await store('10.0.0.2', other)).status).toBe(200)
      expect(await foundOf(server, other.studyInstanceUID)).toBe(2)
    } finally {
      for (const one of held) one[Symbol.dispose]()
    }
    await server.until(async () => (await openCount()) === 0)
    expect((await store('10.0.0.1')).status).toBe(200)
  })

  test('gets its share of the bytes that are not committed, and one larger than all is taken alone', async () => {
    {
      using _large = new HeldTransfer('10.0.0.1', 6 * MiB)
      await server.until(async () => (await openCount()) === 1)
      using more = new Peer()
      more.socket.write(
        requestHead('/dicom-web/studies', { ...from('10.0.0.1'), 'content-length': MiB }),
      )
      expectOverload(await more.answer(), 'bytes', 'sender')
      using tooMuch = new Peer()
      tooMuch.socket.write(
        requestHead('/dicom-web/studies', { ...from('10.0.0.2'), 'content-length': 4 * MiB }),
      )
      expectOverload(await tooMuch.answer(), 'bytes', 'server')
      expect((await store('10.0.0.2')).status).toBe(200)
    }
    await server.until(async () => (await openCount()) === 0)
    expect((await store('10.0.0.1', testStudy(1, 10 * MiB))).status).toBe(200)
  })
})

describe('A sender that drips (slow loris)', () => {
  test('is told so when it is never idle but brings next to nothing, and its place is free', async () => {
    using slow = new Peer()
    const head = requestHead('/dicom-web/studies', { 'content-length': MiB })
    slow.socket.write(head)
    const drip = setInterval(() => slow.socket.write('x'), 100)
    try {
      expect(await slow.answer()).toMatch(/^HTTP\/1\.1 408 /)
    } finally {
      clearInterval(drip)
    }
    await server.until(async () => (await openCount()) === 0)
  })
})

describe('Requests', () => {
  test('that nobody can answer now, as the pool is full, are refused, and go on when it is not', async () => {
    const study = testStudy(1)
    expect((await store('10.0.0.1', study)).status).toBe(200)
    const path = `${server.url}/api/studies/${study.studyInstanceUID}`
    await using sql = await server.connect()
    await sql.begin(async (inside) => {
      await inside`lock table studies in access exclusive mode`
      // As many as the pool has connections, and one more.
      const waiting = [1, 2, 3].map((n) => fetch(path, { headers: from(`10.0.0.${n}`) }))
      for (const answer of await Promise.all(waiting)) {
        expect(answer.status).toBe(503)
        expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
        expect(await answer.json()).toMatchObject({ limit: 'database', of: 'server' })
      }
      using sender = new Peer()
      sender.socket.write(
        requestHead('/dicom-web/studies', { expect: '100-continue', 'content-length': MiB }),
      )
      expectOverload(await sender.answer(), 'database', 'server')
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    })
    await server.until(async () => (await fetch(path)).status === 200)
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
    expect((await store('10.0.0.1')).status).toBe(200)
  }, 60_000)

  test('of a flood are answered or refused with Retry-After, while those of others are answered', async () => {
    const before = await refusals('requests', 'sender')
    const flood = Array.from({ length: 150 }, async () => {
      const answer = await fetch(`${server.dicomWeb}/studies?limit=1`, {
        headers: from('10.0.0.9'),
      })
      await answer.arrayBuffer()
      if (answer.status === 503) expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
      return answer.status
    })
    const answer = await fetch(`${server.dicomWeb}/studies?limit=1`, { headers: from('10.0.0.8') })
    expect(answer.status).toBe(200)
    const statuses = new Set(await Promise.all(flood))
    expect([...statuses].sort()).toEqual([200, 503])
    expect(await refusals('requests', 'sender')).toBeGreaterThan(before)
    // A flood of requests is none of the log.
    expect(server.log.match(/there is too much to do/g)?.length ?? 0).toBeLessThan(10)
  })
})

test('Connections beyond the share of a network are closed, and those that are there go on', async () => {
  const before = await refusals('connections', 'sender')
  const idle = Array.from({ length: 450 }, () => new Peer())
  try {
    // Who is alone has two thirds of 600.
    await server.until(async () => idle.filter((one) => one.isClosed).length >= 50)
    let heard = ''
    // One that we ask may just be about to be closed: then it is not asked again.
    while (heard === '') {
      const one = idle.find((peer) => !peer.isClosed) as Peer
      one.socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
      heard = await one.answer()
    }
    expect(heard).toMatch(/^HTTP\/1\.1 200 /)
  } finally {
    for (const one of idle) one[Symbol.dispose]()
  }
  await server.until(async () => (await refusals('connections', 'sender').catch(() => 0)) > before)
})

test('Bodies of gzip that inflate a thousandfold take no memory, and nothing of them is kept', async () => {
  const bomb = gzipSync(Buffer.alloc(128 * MiB))
  const before = await residentBytes()
  let most = before
  const answers = Array.from({ length: 5 }, (_, n) =>
    fetch(`${server.dicomWeb}/studies`, {
      method: 'POST',
      headers: {
        ...from(`10.0.1.${n}`),
        'content-type': multipartType,
        'content-encoding': 'gzip',
      },
      body: new Uint8Array(bomb),
    }),
  )
  let isOver = false
  const watching = (async () => {
    while (!isOver) most = Math.max(most, await residentBytes())
  })()
  for (const answer of await Promise.all(answers)) expect([400, 413]).toContain(answer.status)
  isOver = true
  await watching
  // All of them together are 640 MiB.
  expect(most - before).toBeLessThan(256 * MiB)
  await server.until(async () => (await openCount()) === 0)
})

// The listener's own times: a minute for a head, and half a minute between looks.
test.runIf(process.env.STOWAGE_TEST_LARGE === '1')(
  'Thousands of connections that say nothing, and heads that drip, take little and are closed',
  { timeout: 180_000 },
  async () => {
    await using large = await startServer()
    const before = await residentBytes(large.pid)
    const idle = Array.from({ length: 5000 }, () => connect(large.port, '127.0.0.1'))
    let closedCount = 0
    for (const socket of idle) {
      socket.on('error', () => {})
      socket.on('close', () => closedCount++)
      socket.resume()
    }
    const drips = setInterval(() => {
      for (const socket of idle.slice(0, 50)) socket.write('GET')
    }, 3000)
    try {
      expect((await stow(`${large.dicomWeb}/studies`, testStudy(3).files)).status).toBe(200)
      expect((await fetch(large.url)).status).toBe(200)
      expect((await residentBytes(large.pid)) - before).toBeLessThan(256 * MiB)
      await large.until(async () => closedCount === idle.length, 150)
    } finally {
      clearInterval(drips)
      for (const socket of idle) socket.destroy()
    }
  },
)
