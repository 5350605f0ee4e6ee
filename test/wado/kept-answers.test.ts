import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { KeptAnswers } from '../../server/wado/kept-answers.ts'

const noise = (bytes: number, seed: number) =>
  Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i * i * (seed + 7)) >> 3))

async function gathered(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all)
}

/** Answers, and how often each was made. */
function answers() {
  const kept = new KeptAnswers()
  const made: string[] = []
  const ask = (version: string, content: Uint8Array[]) =>
    kept.gzipped(version, async function* () {
      made.push(version)
      yield* content
    })
  return { made, ask }
}

describe('Answers in gzip that are kept', () => {
  test('are made once for a version, and come equal', async () => {
    const { made, ask } = answers()
    const content = [Buffer.from('['), noise(300_000, 1), Buffer.from(']')]
    for (let round = 0; round < 3; round++) {
      expect(gunzipSync(await gathered(ask('1', content)))).toEqual(Buffer.concat(content))
    }
    await gathered(ask('2', content))
    expect(made).toEqual(['1', '2'])
  })

  test('are not kept when nobody took them whole, or when they could not be made', async () => {
    const { made, ask } = answers()
    const left = ask('1', [noise(500_000, 1)])
    await left.next()
    await left.return()
    const kept = new KeptAnswers()
    const broken = kept.gzipped('1', async function* () {
      yield noise(10, 1)
      throw new Error('the disk is gone')
    })
    await expect(gathered(broken)).rejects.toThrow('the disk is gone')
    await gathered(ask('1', [noise(10, 1)]))
    expect(made).toEqual(['1', '1'])
  })

  test('are not kept when one is too large', async () => {
    const { made, ask } = answers()
    const { randomBytes } = await import('node:crypto')
    const large = [randomBytes(9 * 2 ** 20)]
    for (let round = 0; round < 2; round++) await gathered(ask('1', large))
    expect(made).toEqual(['1', '1'])
  })
})
