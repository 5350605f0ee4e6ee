import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { foundOf } from '../support/archive.ts'
import { uniqueUID } from '../support/dicom-file.ts'
import type { DicomJson } from '../support/dicom-reading.ts'
import { boundary, jsonRequest } from '../support/metadata-request.ts'
import { runtime, type StowageServer, startServer } from '../support/server.ts'
import { postChunked } from '../support/stow.ts'

const MB = 1e6
/** What the server may hold, whatever is sent to it; Bun keeps more of what it once had. */
const limitBytes = runtime === 'bun' ? 600 * MB : 330 * MB

let server: StowageServer

beforeEach(async () => {
  server = await startServer()
})

afterEach(async () => {
  await server[Symbol.asyncDispose]()
})

async function expectBounded(name: string, limit = limitBytes): Promise<void> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
  const peak = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024
  console.log(`${runtime}, ${name}: at most ${Math.round(peak / MB)} MB`)
  expect(peak).toBeLessThan(limit)
}

function metadata(study: string, uid: string, more: DicomJson): string {
  return JSON.stringify({
    '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
    '00080018': { vr: 'UI', Value: [uid] },
    '0020000D': { vr: 'UI', Value: [study] },
    '0020000E': { vr: 'UI', Value: [`${study}.1`] },
    ...more,
  })
}

function partHead(contentType: string, location?: string): Buffer {
  const at = location === undefined ? '' : `Content-Location: ${location}\r\n`
  return Buffer.from(`\r\n--${boundary}\r\nContent-Type: ${contentType}\r\n${at}\r\n`)
}

const headers = { 'content-type': jsonRequest, accept: 'application/dicom+json' }
const noise = randomBytes(MB)

describe.runIf(process.platform === 'linux')('the memory of the server (P3)', () => {
  test('does not grow with bulk data, which may come before their metadata', {
    timeout: 300_000,
  }, async () => {
    const study = uniqueUID()
    const uid = uniqueUID()
    function* body(): Generator<Uint8Array> {
      yield partHead('application/octet-stream', 'pixels')
      for (let sent = 0; sent < 600; sent++) yield noise
      yield partHead('application/dicom+json')
      const pixels = { '7FE00010': { vr: 'OW', BulkDataURI: 'pixels' } }
      yield Buffer.from(`[${metadata(study, uid, pixels)}]\r\n--${boundary}--`)
    }
    const answer = await postChunked(`${server.dicomWeb}/studies`, headers, body())
    expect(answer.status, answer.text).toBe(200)
    await expectBounded('bulk data of 600 MB')
  })

  test('does not grow with the number of instances and parts', {
    timeout: 300_000,
  }, async () => {
    const study = uniqueUID()
    const count = 10_000
    function* body(): Generator<Uint8Array> {
      yield partHead('application/dicom+json')
      for (let number = 1; number <= count; number++) {
        const more = {
          '00204000': { vr: 'LT', Value: ['x'.repeat(2000)] },
          '7FE00010': { vr: 'OW', BulkDataURI: `pixels/${number}` },
        }
        yield Buffer.from(
          `${number === 1 ? '[' : ','}${metadata(study, `${study}.2.${number}`, more)}`,
        )
      }
      yield Buffer.from(']')
      for (let number = count; number >= 1; number--) {
        yield Buffer.concat([
          partHead('application/octet-stream', `pixels/${number}`),
          noise.subarray(0, 2048),
        ])
      }
      yield Buffer.from(`\r\n--${boundary}--`)
    }
    const answer = await postChunked(`${server.dicomWeb}/studies`, headers, body())
    expect(answer.status, answer.text.slice(0, 1000)).toBe(200)
    expect(await foundOf(server, study)).toBe(count)
    await expectBounded(`${count} instances`)
  })

  test('does not grow with how many send metadata of 5 MB at once', {
    timeout: 300_000,
  }, async () => {
    const item = {
      '00080100': { vr: 'SH', Value: ['code'] },
      '00080104': { vr: 'LO', Value: ['a meaning'] },
    }
    const items = Array.from({ length: 60_000 }, () => item)
    const statuses = await Promise.all(
      Array.from({ length: 16 }, async () => {
        const study = uniqueUID()
        const json = metadata(study, uniqueUID(), { '00400275': { vr: 'SQ', Value: items } })
        const answer = await postChunked(
          `${server.dicomWeb}/studies`,
          { 'content-type': 'application/dicom+json' },
          [Buffer.from(json)],
        )
        return answer.status
      }),
    )
    expect(statuses).toEqual(Array(16).fill(200))
    // Parsed, metadata take some 20 times their bytes, until the collector comes.
    await expectBounded('16 times 5 MB of metadata', 600 * MB)
  })
})
