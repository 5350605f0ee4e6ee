import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { Hono } from 'hono'
import { secureHeaders } from 'hono/secure-headers'
import type { AppEnv } from '../http/env.ts'
import type { Intake } from '../intake/intake.ts'
import { noSpan } from '../trace.ts'
import { type StowDeps, stowRoutes } from './routes.ts'

/**
 * Enough for the compilers to settle, a fraction of a ms at a time.
 *
 * (Node, on a busy machine: 1.25 s of processor time, no more than to receive 2,000 instances that are made for it, without an
 * answer. After that the first 2,000 requests of one instance took 1.27 ms each, after this 1.15.)
 */
const requests = 2000
/** To make one takes as long as to receive it. */
const madeUpBodies = 24
/** Each so many requests one brings several instances. */
const single = 8
const instancesAtOnce = 5
/** Bytes after which some bodies are cut, in the middle of an element. */
const cutAt = 1501

/**
 * Sends made-up instances through the routes of this face, to a rehearsal of the intake that commits to nothing, so that the
 * first study after a start is received as fast as later ones. To be called when the server listens; leaves the way to
 * whoever sends something.
 *
 * These routes stand alone: what counts, records and logs the requests of the server is not in their way.
 */
export async function warmUp(
  { intake, limits }: { intake: Intake; limits: StowDeps['limits'] },
  signal: AbortSignal,
): Promise<void> {
  await intake.rehearseCommit()
  // Whatever the limits for others are, what is made here is small.
  const own = { ...limits, requestBytes: Infinity, parts: Infinity, partBytes: Infinity }
  const practice = practiceOf({ intake: intake.rehearsal(), limits: own, handling: 'strict' })
  const bodies: Uint8Array[] = []
  for (let number = 0; number < requests && !signal.aborted; number++) {
    while (intake.openCount > 0 && !signal.aborted) await sleep(20)
    const index = number % madeUpBodies
    bodies[index] ??= madeUpBody(index, index % single === 0 ? instancesAtOnce : 1)
    const body = bodies[index]
    const response = await practice.fetch(requestOf(body, number % 2 === 0), {
      address: '127.0.0.1',
    })
    if (response.status !== 200)
      throw new Error(`A made-up request was answered ${response.status}`)
    await turn()
  }
}

/** The routes behind as many steps as those of the server have before them, whose way of calling is the same code. */
function practiceOf(deps: StowDeps): Hono<AppEnv> {
  const practice = new Hono<AppEnv>()
  practice.onError((error) => {
    throw error
  })
  practice.use(secureHeaders())
  practice.use(async (c, next) => {
    c.set('baseURL', 'http://localhost')
    c.set('span', noSpan)
    await next()
  })
  return practice.route('/dicom-web', stowRoutes(deps))
}

/** As our listener makes one, but for the connection. */
function requestOf(body: Uint8Array, isCut: boolean): Request {
  const chunks = isCut ? [body.subarray(0, cutAt), body.subarray(cutAt)] : [body]
  const bodySource = {
    async read() {
      return chunks.shift()
    },
    cancel() {},
  }
  const headers = new Headers({
    'content-type': `multipart/related; type="application/dicom"; boundary=${boundary}`,
    'content-length': String(body.length),
    accept: 'application/dicom+json',
    'user-agent': 'practice',
  })
  const url = 'http://localhost/dicom-web/studies'
  const { signal } = new AbortController()
  return { method: 'POST', url, headers, signal, bodySource } as unknown as Request
}

const boundary = 'made-up'
const partHead = Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`)
const partEnd = Buffer.from('\r\n')
const closing = Buffer.from(`--${boundary}--\r\n`)

/** The number of the request makes the instances of each others than those of the last. */
function madeUpBody(request: number, count: number): Uint8Array {
  const pieces: Uint8Array[] = []
  const first = request * instancesAtOnce
  for (let number = first; number < first + count; number++) {
    pieces.push(partHead, madeUpInstance(number, number % 3 === 0), partEnd)
  }
  return Buffer.concat([...pieces, closing])
}

type Item = [group: number, element: number, vr: string, value: string | number[] | Item[]]

/** What an MR image of these years says of itself, about nobody. */
function madeUpInstance(number: number, isImplicit: boolean): Uint8Array {
  const sopInstanceUID = `2.25.${1e15 + number}`
  const meta: Item[] = [
    [2, 2, 'UI', '1.2.840.10008.5.1.4.1.1.4'],
    [2, 3, 'UI', sopInstanceUID],
    [2, 0x10, 'UI', isImplicit ? '1.2.840.10008.1.2' : '1.2.840.10008.1.2.1'],
    [2, 0x12, 'UI', '2.25.1'],
  ]
  const reference: Item[] = [
    [8, 0x1150, 'UI', '1.2.840.10008.5.1.4.1.1.4'],
    [8, 0x1155, 'UI', `2.25.${number}`],
  ]
  const code: Item[] = [
    [8, 0x100, 'SH', 'T-A0100'],
    [8, 0x102, 'SH', 'SRT'],
    [8, 0x104, 'LO', 'Somewhere in the body'],
  ]
  const dataSet: Item[] = [
    [8, 5, 'CS', 'ISO_IR 100'],
    [8, 8, 'CS', 'ORIGINAL\\PRIMARY\\OTHER'],
    [8, 0x12, 'DA', '20200101'],
    [8, 0x13, 'TM', '120000.000000'],
    [8, 0x16, 'UI', '1.2.840.10008.5.1.4.1.1.4'],
    [8, 0x18, 'UI', sopInstanceUID],
    [8, 0x20, 'DA', '20200101'],
    [8, 0x23, 'DA', '20200101'],
    [8, 0x30, 'TM', '120000'],
    [8, 0x33, 'TM', '120001.5'],
    [8, 0x50, 'SH', 'NOBODY'],
    [8, 0x60, 'CS', 'MR'],
    [8, 0x70, 'LO', 'Stowage'],
    [8, 0x90, 'PN', 'Nobody^At^All'],
    [8, 0x1030, 'LO', 'Warming up'],
    [8, 0x103e, 'LO', 'axial'],
    [8, 0x1140, 'SQ', reference],
    [8, 0x2218, 'SQ', code],
    [0x10, 0x10, 'PN', 'Nobody^N\xf6tig'],
    [0x10, 0x20, 'LO', '0'],
    [0x10, 0x30, 'DA', '19000101'],
    [0x10, 0x40, 'CS', 'O'],
    [0x10, 0x1010, 'AS', '120Y'],
    [0x10, 0x1030, 'DS', '70.5'],
    [0x18, 0x20, 'CS', 'SE\\IR'],
    [0x18, 0x23, 'CS', '2D'],
    [0x18, 0x50, 'DS', '5.000000'],
    [0x18, 0x80, 'DS', `${400 + (number % 7)}.25`],
    [0x18, 0x81, 'DS', '14'],
    [0x18, 0x91, 'IS', '1'],
    [0x18, 0x1030, 'LO', 'head'],
    [0x18, 0x1310, 'US', [0, 256, 192, 0]],
    [0x19, 0x10, 'LO', 'STOWAGE'],
    [0x19, 0x1001, 'SS', [1, 2]],
    [0x19, 0x1002, 'FD', [0, 0, 0, 16_368]],
    [0x19, 0x1003, 'UN', [1, 2, 3, 4]],
    [0x20, 0x0d, 'UI', '2.25.2'],
    [0x20, 0x0e, 'UI', '2.25.3'],
    [0x20, 0x10, 'SH', '1'],
    [0x20, 0x11, 'IS', '1'],
    [0x20, 0x13, 'IS', String(number)],
    [0x20, 0x32, 'DS', `-120.5\\-98.25\\${number}.125`],
    [0x20, 0x37, 'DS', '1.000000\\0.0\\0\\0\\1\\-1.2e-5'],
    [0x20, 0x52, 'UI', '2.25.4'],
    [0x20, 0x4000, 'LT', 'Nothing to see'],
    [0x28, 2, 'US', [1]],
    [0x28, 4, 'CS', 'MONOCHROME2'],
    [0x28, 0x10, 'US', [32]],
    [0x28, 0x11, 'US', [32]],
    [0x28, 0x30, 'DS', '0.5\\0.5'],
    [0x28, 0x100, 'US', [16]],
    [0x28, 0x101, 'US', [12]],
    [0x28, 0x102, 'US', [11]],
    [0x28, 0x103, 'US', [0]],
    [0x28, 0x1050, 'DS', '40'],
    [0x28, 0x1051, 'DS', '400'],
    [0x40, 0x275, 'SQ', code],
    [0x7fe0, 0x10, 'OW', new Array(1024).fill(number & 0xfff)],
  ]
  const group = meta.map((item) => encode(item, false))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(group.reduce((sum, one) => sum + one.length, 0))
  const prefix = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM')])
  const first = Buffer.concat([Buffer.from([2, 0, 0, 0, 0x55, 0x4c, 4, 0]), length])
  return Buffer.concat([prefix, first, ...group, ...dataSet.map((one) => encode(one, isImplicit))])
}

const longVRs = new Set(['OW', 'SQ', 'UN'])

function encode([group, element, vr, value]: Item, isImplicit: boolean): Buffer {
  const bytes = bytesOf(vr, value, isImplicit)
  const head = Buffer.alloc(isImplicit || !longVRs.has(vr) ? 8 : 12)
  head.writeUInt16LE(group, 0)
  head.writeUInt16LE(element, 2)
  if (!isImplicit) head.write(vr, 4, 'latin1')
  if (isImplicit) head.writeUInt32LE(bytes.length, 4)
  else if (longVRs.has(vr)) head.writeUInt32LE(bytes.length, 8)
  else head.writeUInt16LE(bytes.length, 6)
  return Buffer.concat([head, bytes])
}

function bytesOf(vr: string, value: Item[3], isImplicit: boolean): Buffer {
  if (typeof value === 'string') {
    const padded = value.length % 2 === 0 ? value : value + (vr === 'UI' ? '\0' : ' ')
    return Buffer.from(padded, 'latin1')
  }
  if (vr !== 'SQ') return Buffer.from(Uint16Array.from(value as number[]).buffer)
  const item = Buffer.concat((value as Item[]).map((one) => encode(one, isImplicit)))
  const head = Buffer.from([0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0])
  head.writeUInt32LE(item.length, 4)
  return Buffer.concat([head, item])
}
