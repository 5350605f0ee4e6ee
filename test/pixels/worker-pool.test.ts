import { afterAll, describe, expect, test } from 'vitest'
import type { Job } from '../../server/pixels/job.ts'
import {
  defaultPoolLimits,
  PoolBusyError,
  UndecodableError,
  WorkerPool,
} from '../../server/pixels/worker-pool.ts'
import { imagePixel } from './image.ts'

const base = '1.2.840.10008.1.2'
const image = imagePixel({ rows: 64, columns: 48, bitsStored: 12, length: 64 * 48 * 2 })
/** Steps and noise, by a fixed rule. */
const pixels = new Uint8Array(
  Uint16Array.from(
    { length: 64 * 48 },
    (_, i) => ((i * 2654435761) % 4096) & (i % 7 ? 0xff0 : 0xfff),
  ).buffer,
)

const pool = new WorkerPool({ ...defaultPoolLimits, workers: 1 })

afterAll(() => pool[Symbol.asyncDispose]())

function encode(transferSyntaxUID: string): Job {
  return { kind: 'encode', image, transferSyntaxUID, bytes: Uint8Array.from(pixels) }
}

function decode(transferSyntaxUID: string, bytes: Uint8Array): Job {
  return { kind: 'decode', image, transferSyntaxUID, bytes: Uint8Array.from(bytes) }
}

describe('Codecs', () => {
  test.each(['5', '4.70', '4.80', '4.90', '4.201'])(
    'encode without loss in %s, and decode to the same',
    async (syntax) => {
      const encoded = await pool.run(encode(`${base}.${syntax}`))
      const decoded = await pool.run(decode(`${base}.${syntax}`, encoded.bytes))
      expect(Buffer.from(decoded.bytes).equals(pixels)).toBe(true)
    },
  )

  test('colour by plane is turned into colour by pixel, and comes back equal', async () => {
    const planes = Uint8Array.from({ length: 64 * 48 * 3 }, (_, i) => i % 251)
    const colour = imagePixel({
      ...image,
      samplesPerPixel: 3,
      photometricInterpretation: 'RGB',
      planarConfiguration: 1,
      bitsAllocated: 8,
      bitsStored: 8,
    })
    for (const syntax of ['5', '4.70', '4.80', '4.90', '4.201']) {
      const transferSyntaxUID = `${base}.${syntax}`
      const encoded = await pool.run({
        kind: 'encode',
        image: colour,
        transferSyntaxUID,
        bytes: Uint8Array.from(planes),
      })
      const { image: inside, bytes } = encoded
      const decoded = await pool.run({ kind: 'decode', image: inside, transferSyntaxUID, bytes })
      expect(decoded.image).toMatchObject({
        photometricInterpretation: 'RGB',
        planarConfiguration: 0,
      })
      const count = 64 * 48
      const byPixel = Uint8Array.from(
        planes,
        (_, i) => planes[(i % 3) * count + Math.floor(i / 3)] as number,
      )
      expect(Buffer.from(decoded.bytes).equals(byPixel), syntax).toBe(true)
    }
  })
})

describe('Hostile code streams', () => {
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(500)],
    ['a JPEG marker and no more', Buffer.from('ffd8ffc0', 'hex')],
    [
      'a JPEG that claims 65535 x 65535',
      Buffer.from('ffd8ffc3000b10ffffffff01011100ffda0008', 'hex'),
    ],
  ])('%s is undecodable, and the next job is done', async (_, bytes) => {
    for (const syntax of ['5', '4.50', '4.70', '4.80', '4.90', '4.201']) {
      await expect(pool.run(decode(`${base}.${syntax}`, bytes))).rejects.toThrow(UndecodableError)
    }
    const encoded = await pool.run(encode(`${base}.4.80`))
    expect(encoded.bytes.length).toBeGreaterThan(100)
  })

  test('a code stream that is cut never ends the process', async () => {
    for (const syntax of ['5', '4.70', '4.80', '4.90', '4.201']) {
      const { bytes } = await pool.run(encode(`${base}.${syntax}`))
      for (const length of [20, 60, Math.floor(bytes.length / 2)]) {
        // Some decoders fill up what is missing; that is an answer, too.
        await pool.run(decode(`${base}.${syntax}`, bytes.subarray(0, length))).catch((error) => {
          expect(error).toBeInstanceOf(UndecodableError)
        })
      }
    }
    expect((await pool.run(encode(`${base}.5`))).bytes.length).toBeGreaterThan(0)
  })

  test('a transfer syntax without a codec is undecodable', async () => {
    await expect(pool.run(decode(`${base}.4.100`, Buffer.alloc(9)))).rejects.toThrow(
      UndecodableError,
    )
  })
})

describe('WorkerPool', () => {
  test('a job that takes too long ends its thread, and is undecodable', async () => {
    await using slow = new WorkerPool({ ...defaultPoolLimits, workers: 1, jobMs: 1 })
    const large = imagePixel({ rows: 3000, columns: 3000, bitsStored: 12 })
    const job: Job = {
      kind: 'encode',
      image: large,
      transferSyntaxUID: `${base}.4.90`,
      bytes: new Uint8Array(3000 * 3000 * 2).fill(9),
    }
    await expect(slow.run(job)).rejects.toThrow('takes longer than')
  })

  test('a job is not ended for what a busy machine takes', async () => {
    const limits = { ...defaultPoolLimits, workers: 1, jobMs: 1, busyTimes: Infinity }
    await using pool = new WorkerPool(limits, () => 0)
    expect((await pool.run(encode(`${base}.4.90`))).bytes.length).toBeGreaterThan(100)
  })

  test('a job that takes too much memory ends its thread, and the next is done by another', async () => {
    await using small = new WorkerPool({
      ...defaultPoolLimits,
      workers: 1,
      memoryBytes: 2 ** 28,
    })
    // What the codecs begin with is 256 MiB.
    const [rows, columns] = [7000, 7000]
    const large: Job = {
      kind: 'encode',
      image: imagePixel({ rows, columns, bitsStored: 12 }),
      transferSyntaxUID: `${base}.4.90`,
      bytes: new Uint8Array(rows * columns * 2).fill(9),
    }
    const refused = small.run(large)
    const next = small.run(encode(`${base}.4.90`))
    await expect(refused).rejects.toThrow('more than 256 MiB')
    await expect(refused).rejects.toThrow(UndecodableError)
    expect((await next).bytes.length).toBeGreaterThan(100)
  })

  test('refuses the job that is one too many, and does all others', async () => {
    await using small = new WorkerPool({ ...defaultPoolLimits, workers: 1, waiting: 2 })
    const jobs = [small.run(encode(`${base}.5`)), small.run(encode(`${base}.5`))]
    expect(() => small.run(encode(`${base}.5`))).toThrow(PoolBusyError)
    expect(await Promise.all(jobs)).toHaveLength(2)
  })

  test('does not begin what nobody waits for any more', async () => {
    const left = new AbortController()
    const first = pool.run(encode(`${base}.5`))
    const second = pool.run(encode(`${base}.5`), left.signal)
    left.abort(new Error('left'))
    await expect(second).rejects.toThrow('left')
    expect((await first).bytes.length).toBeGreaterThan(0)
  })

  test('fails what waits when it is disposed of', async () => {
    const ended = new WorkerPool({ ...defaultPoolLimits, workers: 1 })
    const job = ended.run(encode(`${base}.5`))
    const failed = expect(job).rejects.toThrow(PoolBusyError)
    await ended[Symbol.asyncDispose]()
    await failed
  })
})
