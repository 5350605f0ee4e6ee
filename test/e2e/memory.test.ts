import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { foundOf, testStudy } from '../support/archive.ts'
import {
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  uniqueUID,
} from '../support/dicom-file.ts'
import { readInstance } from '../support/dicom-reading.ts'
import { runtime, type StowageServer, startServer } from '../support/server.ts'
import { boundary, multipartBody, multipartType, postChunked, stow } from '../support/stow.ts'

const MB = 1e6

/** What the server may hold, whatever is sent to it. */
const limitBytes = 300 * MB

const isLarge = process.env.STOWAGE_TEST_LARGE === '1'
if (!isLarge) console.log('not run: 2.2 GB and 4.3 GB, because STOWAGE_TEST_LARGE is not 1')
const isLinux = process.platform === 'linux'
if (!isLinux) console.log('not run: memory of the server, because it is read from /proc')

let server: StowageServer

/** The most that the server ever had in memory at once. */
async function peakBytes(): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

async function expectBounded(name: string, limit = limitBytes): Promise<void> {
  const peak = await peakBytes()
  console.log(`${runtime}, ${name}: at most ${Math.round(peak / MB)} MB`)
  expect(peak).toBeLessThan(limit)
}

const noise = randomBytes(MB)

/** An instance that is made while it is sent: a usual head, then so many bytes of pixel data. */
function largeInstance(
  studyInstanceUID: string,
  pixelBytes: number,
  transferSyntaxUID = explicitLittleEndian,
) {
  const seriesInstanceUID = uniqueUID()
  const sopInstanceUID = uniqueUID()
  const head = dicomFile({
    studyInstanceUID,
    seriesInstanceUID,
    sopInstanceUID,
    transferSyntaxUID,
    pixelBytes: null,
  })
  const pixelData = Buffer.alloc(12)
  if (transferSyntaxUID === explicitBigEndian) {
    pixelData.writeUInt32BE(0x7fe00010, 0)
    pixelData.writeUInt32BE(pixelBytes, 8)
  } else {
    pixelData.writeUInt16LE(0x7fe0, 0)
    pixelData.writeUInt16LE(0x0010, 2)
    pixelData.writeUInt32LE(pixelBytes, 8)
  }
  pixelData.write('OW', 4, 'latin1')
  return {
    path: `${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`,
    byteLength: head.length + pixelData.length + pixelBytes,
    *chunks(): Generator<Uint8Array> {
      yield Buffer.concat([head, pixelData])
      for (let sent = 0; sent < pixelBytes; sent += noise.length) {
        yield noise.subarray(0, Math.min(noise.length, pixelBytes - sent))
      }
    },
  }
}

type LargeInstance = ReturnType<typeof largeInstance>

const partHead = `--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`
const closing = `--${boundary}--\r\n`

function* bodyOf(instances: LargeInstance[]): Generator<Uint8Array> {
  for (const instance of instances) {
    yield Buffer.from(partHead)
    yield* instance.chunks()
    yield Buffer.from('\r\n')
  }
  yield Buffer.from(closing)
}

function lengthOf(instances: LargeInstance[]): number {
  return instances.reduce((sum, one) => sum + partHead.length + one.byteLength + 2, closing.length)
}

async function post(instances: LargeInstance[], isChunked: boolean): Promise<number> {
  const headers = {
    'content-type': multipartType,
    accept: 'application/dicom+json',
    ...(isChunked ? {} : { 'content-length': String(lengthOf(instances)) }),
  }
  const answer = await postChunked(`${server.dicomWeb}/studies`, headers, bodyOf(instances))
  if (answer.status !== 200) console.log(answer.text)
  return answer.status
}

/** Reads an instance back and counts, without keeping it. */
async function readBack(instance: LargeInstance): Promise<number> {
  const answer = await fetch(`${server.dicomWeb}/studies/${instance.path}`, {
    headers: { accept: 'application/dicom' },
  })
  let bytes = 0
  for await (const chunk of answer.body ?? []) bytes += chunk.length
  return bytes
}

describe.runIf(isLinux)('the memory of the server (P3, OTA-8)', () => {
  // One for each test, for memory that was once used is not always given back.
  beforeEach(async () => {
    server = await startServer()
    await stow(`${server.dicomWeb}/studies`, testStudy(10).files)
    console.log(`${runtime}, at the beginning: at most ${Math.round((await peakBytes()) / MB)} MB`)
  })

  afterEach(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test('does not grow with the size of a part', { timeout: 300_000 }, async () => {
    const instance = largeInstance(uniqueUID(), 600 * MB)
    expect(await post([instance], true)).toBe(200)
    await expectBounded('a part of 600 MB')
    expect(await readBack(instance)).toBe(instance.byteLength)
    await expectBounded('a part of 600 MB, read back')
  })

  test('does not grow with the size of what is encoded anew', { timeout: 300_000 }, async () => {
    const instance = largeInstance(uniqueUID(), 400 * MB, explicitBigEndian)
    expect(await post([instance], true)).toBe(200)
    // Explicit VR in both: only the order of the bytes differs.
    expect(await readBack(instance)).toBe(instance.byteLength)
    await expectBounded('400 MB of big endian, read back in little endian')
  })

  test('does not grow with the size of a request', { timeout: 300_000 }, async () => {
    const studyInstanceUID = uniqueUID()
    const instances = Array.from({ length: 500 }, () => largeInstance(studyInstanceUID, 2 * MB))
    expect(await post(instances, false)).toBe(200)
    expect(await foundOf(server, studyInstanceUID)).toBe(500)
    await expectBounded('1 GB in 500 parts')
  })

  test('does not grow with the number of parts', { timeout: 300_000 }, async () => {
    const partCount = Number(process.env.TEST_PARTS ?? 20_000)
    const studyInstanceUID = uniqueUID()
    function* parts() {
      const seriesInstanceUID = uniqueUID()
      for (let count = 0; count < partCount; count++) {
        const file = dicomFile({ studyInstanceUID, seriesInstanceUID, pixelBytes: 2 })
        yield Buffer.concat([Buffer.from(partHead), file, Buffer.from('\r\n')])
      }
      yield Buffer.from(closing)
    }
    const headers = { 'content-type': multipartType, accept: 'application/dicom+json' }
    const answer = await postChunked(`${server.dicomWeb}/studies`, headers, parts())
    expect(answer.status).toBe(200)
    await expectBounded(`${partCount} parts`)
  })

  test('does not grow with the number of senders', { timeout: 300_000 }, async () => {
    const statuses = await Promise.all(
      Array.from({ length: 64 }, () => post([largeInstance(uniqueUID(), 8 * MB)], true)),
    )
    expect(statuses).toEqual(Array(64).fill(200))
    // Bun itself takes some 6 MB for each connection that sends, whatever we hold of it (1.4.5: 16 senders
    // 300 MB, 64 senders 440 to 540 MB, 128 senders 560 MB).
    await expectBounded('64 senders of 8 MB', runtime === 'bun' ? 800 * MB : limitBytes)
  })

  test('does not grow with what slow readers have not yet taken', {
    timeout: 300_000,
  }, async () => {
    const instance = largeInstance(uniqueUID(), 100 * MB)
    expect(await post([instance], true)).toBe(200)
    const request = [
      `GET /dicom-web/studies/${instance.path} HTTP/1.1`,
      'host: 127.0.0.1',
      'accept: application/dicom',
      'connection: close',
    ]
    const readers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = connect(server.port, '127.0.0.1')
        socket.write(`${request.join('\r\n')}\r\n\r\n`)
        await readOf(socket, 65_536)
        return socket
      }),
    )
    // Nobody takes anything now, and sooner or later the server notices.
    await untilStill(async () => {
      const io = await readFile(`/proc/${server.pid}/io`, 'utf8')
      return Number(/rchar: (\d+)/.exec(io)?.[1])
    })
    await expectBounded('20 slow readers of 100 MB')
    for (const socket of readers) socket.destroy()
  })

  test('is given back by who leaves in the middle of pictures: no more are made', {
    timeout: 300_000,
  }, async () => {
    const [size, numberOfFrames] = [256, 600]
    const file = dicomFile({
      rows: size,
      columns: size,
      numberOfFrames,
      pixelBytes: Buffer.concat(Array(80).fill(noise)).subarray(
        0,
        size * size * 2 * numberOfFrames,
      ),
    })
    expect((await stow(`${server.dicomWeb}/studies`, [file])).status).toBe(200)
    const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = readInstance(file)
    const path = `${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`
    const readBytes = async () =>
      Number(/rchar: (\d+)/.exec(await readFile(`/proc/${server.pid}/io`, 'utf8'))?.[1])
    const before = await readBytes()
    const socket = connect(server.port, '127.0.0.1')
    socket.write(`GET /dicom-web/studies/${path}/rendered HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`)
    await readOf(socket, 65_536)
    socket.destroy()
    await untilStill(readBytes)
    expect((await readBytes()) - before).toBeLessThan(file.length / 2)
    await expectBounded('pictures of 79 MB that nobody took')
  })

  test('does not grow while the database is slow: the sender waits', {
    timeout: 300_000,
  }, async () => {
    await using sql = await server.connect()
    const body = multipartBody(testStudy(20_000, 2048).files)
    const socket = connect(server.port, '127.0.0.1')
    const answered = new Promise<string>((resolve) => {
      socket.once('data', (piece) => resolve(piece.toString('latin1')))
    })
    await sql.begin(async (inside) => {
      await inside`lock table staged_instances in share mode`
      socket.write(
        `POST /dicom-web/studies HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${multipartType}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`,
      )
      socket.write(body)
      const taken = await untilStill(async () => socket.bytesWritten - socket.writableLength)
      expect(taken).toBeLessThan(30 * MB)
    })
    expect(await answered).toMatch(/^HTTP\/1\.1 200 /)
    await expectBounded('20,000 parts into a slow database')
  })

  test.runIf(isLarge).each([
    { name: 'with its length', isChunked: false },
    { name: 'in chunks', isChunked: true },
  ])(
    'does not grow with 2.2 GB in a part and 4.3 GB in a request, $name',
    { timeout: 1_800_000 },
    async ({ name, isChunked }) => {
      const studyInstanceUID = uniqueUID()
      const single = largeInstance(studyInstanceUID, 2200 * MB)
      expect(await post([single], isChunked)).toBe(200)
      await expectBounded(`a part of 2.2 GB ${name}`)
      expect(await readBack(single)).toBe(single.byteLength)
      const many = [
        largeInstance(studyInstanceUID, 2200 * MB),
        ...Array.from({ length: 210 }, () => largeInstance(studyInstanceUID, 10 * MB)),
      ]
      expect(lengthOf(many)).toBeGreaterThan(2 ** 32)
      expect(await post(many, isChunked)).toBe(200)
      expect(await foundOf(server, studyInstanceUID)).toBe(212)
      await expectBounded(`a request of 4.3 GB ${name}`)
    },
  )
})

/** Waits until a number that only grows has not grown for a while, and hands it out. */
async function untilStill(measure: () => Promise<number>): Promise<number> {
  let latest = await measure()
  await server.until(async () => {
    const before = latest
    await sleep(500)
    latest = await measure()
    return latest > 0 && latest === before
  })
  return latest
}

/** Reads until so many bytes have come in all, then stops reading. */
function readOf(socket: Socket, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    function take(): void {
      if (socket.bytesRead < bytes) return
      socket.pause()
      socket.off('data', take)
      resolve()
    }
    socket.on('data', take)
    socket.once('error', reject)
    socket.resume()
  })
}
