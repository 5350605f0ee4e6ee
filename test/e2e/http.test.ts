import { type ChildProcess, spawn } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort, runtime } from '../support/server.ts'

const commands = {
  node: [process.execPath, '--import', 'tsx'],
  bun: ['bun'],
  deno: ['deno', 'run', '--allow-all'],
}

let port: number
let server: ChildProcess

async function startHandlers(at: number): Promise<ChildProcess> {
  const [command, ...args] = commands[runtime] as [string, ...string[]]
  const script = new URL('./http-handler.ts', import.meta.url).pathname
  const child = spawn(command, [...args, script, String(at)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve)
    child.once('exit', (code) => reject(new Error(`The handlers ended with ${code}`)))
  })
  return child
}

beforeAll(async () => {
  port = await freePort()
  server = await startHandlers(port)
})

afterAll(() => {
  server.kill('SIGKILL')
})

/** A client that does what no client library would. */
class Client {
  readonly socket: Socket
  received = ''
  error: string | undefined
  isEnded = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setMaxListeners(0)
    socket.on('data', (bytes) => {
      this.received += bytes.toString('latin1')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code
    })
    socket.on('end', () => {
      this.isEnded = true
    })
  }

  static open(at = port): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: at, host: '127.0.0.1', allowHalfOpen: true })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new Client(socket)))
    })
  }

  head(requestLine: string, ...headers: string[]): void {
    this.socket.write(
      [`${requestLine} HTTP/1.1`, `Host: localhost:${port}`, ...headers, '', ''].join('\r\n'),
    )
  }

  /** Sends as fast as the server takes it; ends early when the connection does. */
  async send(totalBytes: number, asChunks = false): Promise<void> {
    const block = Buffer.alloc(1_000_000)
    for (let sent = 0; sent < totalBytes && !this.socket.destroyed; sent += block.length) {
      if (asChunks) this.socket.write('f4240\r\n')
      const isTaken = this.socket.write(block)
      if (asChunks) this.socket.write('\r\n')
      if (!isTaken) {
        await new Promise<void>((resolve) => {
          this.socket.once('drain', resolve)
          this.socket.once('close', () => resolve())
        })
      }
    }
  }

  async until(condition: () => boolean, seconds = 20): Promise<void> {
    for (const giveUpAt = Date.now() + seconds * 1000; !condition(); ) {
      if (Date.now() > giveUpAt) {
        throw new Error(`Waited in vain: ${this.received.slice(0, 300)} ${this.error ?? ''}`)
      }
      await delay(10)
    }
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}

async function get(path: string): Promise<unknown> {
  return (await fetch(`http://127.0.0.1:${port}${path}`)).json()
}

async function outcomeOf(name: string): Promise<{ ended: string; bytes: number }> {
  for (let i = 0; i < 500; i++) {
    const outcome = await get(`/outcome?case=${name}`)
    if (outcome !== null) return outcome as { ended: string; bytes: number }
    await delay(20)
  }
  throw new Error(`Nothing became of ${name}`)
}

const megabyte = Buffer.alloc(1_000_000)

describe('a body that ends before the message does (RFC 9112 §8)', () => {
  const cases: [name: string, header: string, sent: (Buffer | string)[]][] = [
    ['nothing-of-20', 'Content-Length: 20', []],
    ['5-of-20', 'Content-Length: 20', ['hello']],
    ['half-of-2-MB', 'Content-Length: 2000000', [megabyte]],
    ['one-chunk', 'Transfer-Encoding: chunked', ['5\r\nhello\r\n']],
    ['one-large-chunk', 'Transfer-Encoding: chunked', ['f4240\r\n', megabyte, '\r\n']],
    ['half-a-chunk', 'Transfer-Encoding: chunked', ['1e8480\r\n', megabyte]],
    ['a-broken-chunk', 'Transfer-Encoding: chunked', ['5\r\nhello\r\nZZ\r\n']],
  ]
  for (const [name, header, pieces] of cases) {
    for (const how of ['FIN', 'RST'] as const) {
      test(`is never taken for whole: ${name}, then ${how}`, async () => {
        using client = await Client.open()
        client.head(`POST /read?case=${name}-${how}`, header)
        for (const piece of pieces) client.socket.write(piece)
        await delay(100)
        if (how === 'FIN') client.socket.end()
        else client.socket.resetAndDestroy()
        expect(await outcomeOf(`${name}-${how}`)).toMatchObject({ ended: 'ConnectionLostError' })
      })
    }
  }

  test('is never taken for whole when the reader is slower than the sender', async () => {
    using client = await Client.open()
    client.head('POST /read?case=slow-reader&slow=30', 'Content-Length: 2000000')
    client.socket.write(megabyte)
    client.socket.end()
    expect(await outcomeOf('slow-reader')).toMatchObject({ ended: 'ConnectionLostError' })
  })
})

describe('a whole body', () => {
  test('is read to its end, with a length and in chunks', async () => {
    using client = await Client.open()
    client.head('POST /read?case=whole', 'Content-Length: 1000000')
    client.socket.write(megabyte)
    expect(await outcomeOf('whole')).toEqual({ ended: 'whole', bytes: 1_000_000 })
    client.head('POST /read?case=whole-chunks', 'Transfer-Encoding: chunked')
    client.socket.write('5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n')
    expect(await outcomeOf('whole-chunks')).toEqual({ ended: 'whole', bytes: 8 })
  })

  test('may be of more than 4 GiB, and takes no memory for it', async () => {
    const bytes = 4_400_000_000
    using client = await Client.open()
    const before = (await get('/memory')) as { residentBytes: number }
    client.head('POST /read?case=huge', `Content-Length: ${bytes}`)
    await client.send(bytes)
    expect(await outcomeOf('huge')).toEqual({ ended: 'whole', bytes })
    // Deno lets some 250 MB gather before it collects; what matters is that 4.4 GB do not.
    const after = (await get('/memory')) as { residentBytes: number }
    expect(after.residentBytes - before.residentBytes).toBeLessThan(400_000_000)
  })

  test('comes no faster than it is read', async () => {
    using client = await Client.open()
    client.head('POST /read?case=slowly&slow=200', 'Content-Length: 500000000')
    void client.send(500_000_000)
    await delay(2000)
    // What the kernel and the server hold; the client still has the rest.
    expect(client.socket.bytesWritten).toBeLessThan(40_000_000)
    expect(((await get('/memory')) as { residentBytes: number }).residentBytes).toBeLessThan(
      500_000_000,
    )
  })
})

describe('Expect: 100-continue (RFC 9110 §10.1.1)', () => {
  test('is answered with the refusal, and no 100, when nobody wants the body', async () => {
    using client = await Client.open()
    client.head('POST /refuse', 'Expect: 100-continue', 'Content-Length: 1000000')
    await client.until(() => client.received.includes('too large'))
    expect(client.received).toMatch(/^HTTP\/1\.1 413 /)
  })

  test('is answered with 100 when the body is read', async () => {
    using client = await Client.open()
    client.head('POST /read?case=expected', 'Expect: 100-continue', 'Content-Length: 5')
    await client.until(() => client.received.length > 0)
    expect(client.received).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    client.socket.write('hello')
    expect(await outcomeOf('expected')).toEqual({ ended: 'whole', bytes: 5 })
  })
})

describe('an answer that comes before the body has been sent (RFC 9112 §9.6)', () => {
  for (const path of ['/refuse', '/refuse-whole', '/refuse-later', '/refuse-later?cancel']) {
    for (const asChunks of [false, true]) {
      test(`reaches a client that sends all before it reads: ${path}, ${asChunks ? 'in chunks' : 'with a length'}`, async () => {
        using client = await Client.open()
        client.socket.pause()
        client.head(
          `POST ${path}`,
          asChunks ? 'Transfer-Encoding: chunked' : 'Content-Length: 50000000',
        )
        await client.send(50_000_000, asChunks)
        if (asChunks) client.socket.write('0\r\n\r\n')
        client.socket.resume()
        await client.until(() => client.isEnded)
        expect(client.error).toBeUndefined()
        expect(client.received).toMatch(/^HTTP\/1\.1 41[35] [\s\S]*\r\nconnection: close\r\n/i)
        expect(client.received).toMatch(/(too large|of a kind we do not take)$/)
      })
    }
  }

  test('ends the connection when the sender does not stop', async () => {
    using client = await Client.open()
    client.head('POST /refuse', 'Transfer-Encoding: chunked')
    await client.until(() => client.received.includes('too large'))
    await client.send(3_000_000_000, true)
    await client.until(() => client.socket.destroyed || client.isEnded)
  })

  test('leaves the connection usable when the whole body had arrived', async () => {
    using client = await Client.open()
    // Head and body in one write, so that they arrive together.
    client.socket.write('POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello')
    await client.until(() => client.received.endsWith('ignored'))
    client.received = ''
    client.head('GET /')
    await client.until(() => client.received.includes('"method":"GET"'))
  })
})

describe('an answer', () => {
  test('is made no faster than it is read, and no longer than the client stays', async () => {
    using client = await Client.open()
    client.head('GET /endless')
    await client.until(() => client.received.length > 0)
    client.socket.pause()
    await delay(700)
    const paused = (await get('/produced')) as { producedBytes: number }
    await delay(700)
    expect(await get('/produced')).toEqual({ ...paused, isSourceCancelled: false })
    expect(paused.producedBytes).toBeLessThan(60_000_000)
    client.socket.destroy()
    await delay(500)
    expect(await get('/produced')).toMatchObject({ isSourceCancelled: true })
  })

  test('to a GET goes out as it is made, although the body that the GET announced never comes', async () => {
    using client = await Client.open()
    client.head('GET /endless', 'Content-Length: 1')
    await client.until(() => client.received.length > 1_000_000)
    expect(client.received).toMatch(/connection: close/i)
    client.socket.pause()
    await delay(300)
    expect(await get('/produced')).toMatchObject({ isSourceCancelled: false })
  })

  test('that nobody is there to take any more is given up before it begins', async () => {
    using client = await Client.open()
    client.head('GET /endless-late')
    await delay(100)
    client.socket.destroy()
    for (let i = 0; ; i++) {
      const { producedBytes, isSourceCancelled } = (await get('/produced')) as Record<
        string,
        unknown
      >
      if (producedBytes === 0 && isSourceCancelled) break
      if (i > 100) throw new Error('The source of the answer was never told')
      await delay(20)
    }
  })

  test('that breaks off is never taken for whole', async () => {
    const response = await fetch(`http://127.0.0.1:${port}/breaks`)
    expect(response.status).toBe(200)
    await expect(response.arrayBuffer()).rejects.toThrow()
  })

  test('of one piece has a length', async () => {
    const response = await fetch(`http://127.0.0.1:${port}/ignore`)
    expect(response.headers.get('content-length')).toBe('7')
    await response.text()
  })

  test('keeps each of its cookies', async () => {
    const response = await fetch(`http://127.0.0.1:${port}/cookies`)
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    await response.text()
  })

  test('to a request whose handler throws is 500 and tells nothing', async () => {
    const response = await fetch(`http://127.0.0.1:${port}/throws`)
    expect([response.status, await response.text()]).toEqual([500, ''])
  })
})

describe('a request', () => {
  test('has the URL of its Host header and its target, in either form', async () => {
    using client = await Client.open()
    client.head('GET /a/b?c=d')
    await client.until(() => client.received.includes(`http://localhost:${port}/a/b?c=d`))
    client.received = ''
    client.head('GET http://elsewhere.example/a/b?c=d')
    await client.until(() => client.received.includes(`http://localhost:${port}/a/b?c=d`))
  })

  test('can be read as text, as JSON and as a form', async () => {
    const post = (path: string, body: string | FormData) =>
      fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body })
    const text = await post('/text', 'so viele Bytes: ä')
    expect(text.headers.get('content-length')).toBe('18')
    expect(text.headers.get('x-of')).toBe('text')
    expect(await text.text()).toBe('so viele Bytes: ä')
    expect(await (await post('/json', '{"a":1}')).json()).toEqual({ a: 1 })
    const form = new FormData()
    form.append('a', 'b')
    expect(await (await post('/form', form)).json()).toEqual([['a', 'b']])
  })

  test('tells by its signal when the client leaves', async () => {
    using client = await Client.open()
    client.head('GET /left')
    await delay(200)
    client.socket.destroy()
    expect(await outcomeOf('left')).toBe('aborted')
  })

  test('that no Request can hold is answered 400', async () => {
    using client = await Client.open()
    client.head('TRACE /')
    await client.until(() => client.received.startsWith('HTTP/1.1 400 '))
  })
})

test('told to stop, it finishes what is under way and takes nothing new', async () => {
  const at = await freePort()
  const child = await startHandlers(at)
  const exited = new Promise((resolve) => child.once('exit', resolve))
  using idle = await Client.open(at)
  const slow = fetch(`http://127.0.0.1:${at}/slow`)
  await delay(200)
  child.kill('SIGTERM')
  await delay(200)
  await expect(Client.open(at)).rejects.toThrow(/ECONNREFUSED/)
  expect(await (await slow).text()).toBe('slow')
  expect(await exited).toBe(0)
  expect(idle.error).toBeUndefined()
})
