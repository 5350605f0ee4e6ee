import { readdirSync, readFileSync, truncateSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { runtime, type StowageServer, startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'

const MB = 1e6

/** A study whose files, metadata and search results are each far more than a socket holds. */
const many = { study: uniqueUID(), series: uniqueUID(), count: 1500 }
const large = { study: uniqueUID(), series: uniqueUID(), instance: uniqueUID(), frames: 60 }

const isLinux = process.platform === 'linux'
if (!isLinux) console.log('not run: memory and open files of the server are read from /proc')

let server: StowageServer

beforeAll(async () => {
  if (!isLinux) return
  // As few connections as there can be: if readers held them, nobody else would be answered.
  server = await startServer({ env: { STOWAGE_DATABASE_CONNECTIONS: '2' } })
  const comments = 'slow '.repeat(2000)
  for (let from = 0; from < many.count; from += 500) {
    const files = Array.from({ length: 500 }, () =>
      dicomFile({
        studyInstanceUID: many.study,
        seriesInstanceUID: many.series,
        pixelBytes: 20_000,
        elements: [{ tag: '00204000', vr: 'LT', value: comments }],
      }),
    )
    expect((await stow(`${server.dicomWeb}/studies`, files)).status).toBe(200)
  }
  const file = dicomFile({
    studyInstanceUID: large.study,
    seriesInstanceUID: large.series,
    sopInstanceUID: large.instance,
    rows: 1000,
    columns: 500,
    numberOfFrames: large.frames,
    pixelBytes: large.frames * MB,
  })
  expect((await stow(`${server.dicomWeb}/studies`, [file])).status).toBe(200)
})

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const instancePath = `/studies/${large.study}/series/${large.series}/instances/${large.instance}`
const frameList = Array.from({ length: large.frames }, (_, index) => index + 1).join(',')

function memoryBytes(): number {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

const openFiles = (): number => readdirSync(`/proc/${server.pid}/fd`).length

/** A client who takes 10 KB/s, and never more. */
class SlowReader implements Disposable {
  readonly socket: Socket
  readonly #timer: ReturnType<typeof setInterval>
  readBytes = 0

  constructor(path: string, accept: string) {
    // Not read but by `read`: what is not asked for stays with the server.
    this.socket = connect({ port: server.port, host: '127.0.0.1' })
    this.socket.on('error', () => {})
    this.socket.on('readable', () => {
      if (this.readBytes === 0) this.#read()
    })
    this.socket.write(
      `GET /dicom-web${path} HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\n\r\n`,
    )
    this.#timer = setInterval(() => this.#read(), 100)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.socket.destroy()
  }

  #read(): void {
    const most = Math.min(1000, this.socket.readableLength)
    const chunk = most > 0 ? (this.socket.read(most) as Buffer | null) : null
    this.readBytes += chunk?.length ?? 0
  }
}

const anyMultipart = 'multipart/related; type="application/octet-stream"'

describe.runIf(isLinux)('A client that reads slowly (P3)', () => {
  test.each([
    ['a study', `/studies/${many.study}`, '*/*'],
    ['metadata', `/studies/${many.study}/metadata`, 'application/dicom+json'],
    [
      'metadata in XML',
      `/studies/${many.study}/metadata`,
      'multipart/related; type="application/dicom+xml"',
    ],
    [
      'search results',
      `/studies/${many.study}/instances?limit=2000&includefield=ImageComments`,
      'application/dicom+json',
    ],
    ['an instance', instancePath, 'application/dicom'],
    ['frames', `${instancePath}/frames/${frameList}`, anyMultipart],
    ['pixel data', `${instancePath}/pixeldata`, anyMultipart],
  ])(
    'of %s holds neither memory nor a connection to the database, and leaves nothing',
    async (_what, path, accept) => {
      await using sql = await server.connect()
      const searched = async () => (await fetch(`${server.dicomWeb}/studies?limit=1`)).status
      // Once whole, so that what this needs at all is there.
      const once = await fetch(`${server.dicomWeb}${path}`, { headers: { accept } })
      expect(once.status).toBe(200)
      let wholeBytes = 0
      for await (const chunk of once.body ?? []) wholeBytes += chunk.length
      expect(wholeBytes).toBeGreaterThan(14 * MB)
      const [memoryBefore, filesBefore] = [memoryBytes(), openFiles()]

      const readers = Array.from({ length: 20 }, () => new SlowReader(path, accept))
      try {
        await server.until(async () => readers.every((reader) => reader.readBytes > 0))
        const held = () => sql`
        select state, query from pg_stat_activity
        where application_name = 'stowage' and datname = current_database()
        and pid <> pg_backend_pid()
        and (state like 'idle in transaction%'
          or state = 'active' and now() - query_start > interval '2 seconds')`
        // Whoever comes meanwhile is answered, over and over, while the readers read on.
        const begunWith = readers.map((reader) => reader.readBytes)
        let grownBy = 0
        await server.until(async () => {
          expect(await searched()).toBe(200)
          expect([...(await held())]).toEqual([])
          grownBy = memoryBytes() - memoryBefore
          const haveRead = readers.every(
            (reader, i) => reader.readBytes > (begunWith[i] as number) + 10_000,
          )
          // All of them whole would be 300 MB at the least. What was made on the way may take a while to be collected.
          return haveRead && grownBy < 150 * MB
        })
        console.log(
          `${runtime}, 20 readers of ${Math.round(wholeBytes / MB)} MB: ${Math.round(grownBy / MB)} MB more`,
        )
        expect(readers.every((reader) => reader.readBytes < 5 * MB)).toBe(true)
      } finally {
        for (const reader of readers) reader[Symbol.dispose]()
      }
      await server.until(async () => openFiles() <= filesBefore + 5)
      expect(await searched()).toBe(200)
    },
    120_000,
  )
})

describe.runIf(isLinux)('An answer that cannot be finished', () => {
  test('WA-S15: is broken off, so that nobody takes it for complete', async () => {
    const study = uniqueUID()
    const file = dicomFile({ studyInstanceUID: study, pixelBytes: 40 * MB })
    expect((await stow(`${server.dicomWeb}/studies`, [file])).status).toBe(200)
    await using sql = await server.connect()
    const [row] = await sql`
      select segment_id as id from segments order by segment_key desc limit 1`
    const name = readdirSync(server.storeDir, { recursive: true, encoding: 'utf8' }).find((path) =>
      path.includes(row?.id),
    ) as string
    const answer = await fetch(`${server.dicomWeb}/studies/${study}`)
    expect(answer.status).toBe(200)
    const reader = answer.body?.getReader()
    await reader?.read()
    truncateSync(join(server.storeDir, name), 30 * MB)
    const rest = async () => {
      for (;;) if ((await reader?.read())?.done) return 'complete'
    }
    await expect(rest()).rejects.toThrow()
    await server.until(async () => server.log.includes('an answer was broken off'))
  })
})
