import { describe, expect, test } from 'vitest'
import { KeptAnswers } from '../../server/wado/kept-answers.ts'

const MiB = 2 ** 20
const piece = (bytes: number, fill = 1) => Buffer.alloc(bytes, fill)

async function gathered(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all)
}

/** Answers, and how often each was made. */
function answers() {
  const kept = new KeptAnswers()
  const made: string[] = []
  const ask = (key: string, content: Uint8Array[]) =>
    kept.read(key, async function* () {
      made.push(key)
      yield* content
    })
  return { kept, made, ask }
}

describe('Answers that are kept', () => {
  test('are made once, and come equal', async () => {
    const { made, ask } = answers()
    const content = [Buffer.from('['), piece(300_000), Buffer.from(']')]
    for (let round = 0; round < 3; round++) {
      expect((await gathered(ask('1', content))).equals(Buffer.concat(content))).toBe(true)
    }
    await gathered(ask('2', content))
    expect(made).toEqual(['1', '2'])
  })

  test('are not kept when nobody took them whole, or when they could not be made', async () => {
    const { kept, made, ask } = answers()
    const left = ask('1', [piece(500_000), piece(1)])
    await left.next()
    await left.return()
    const broken = kept.read('1', async function* () {
      yield piece(10)
      throw new Error('the disk is gone')
    })
    await expect(gathered(broken)).rejects.toThrow('the disk is gone')
    await gathered(ask('1', [piece(10)]))
    expect(made).toEqual(['1', '1'])
  })

  test('are kept by one of those who ask at once, and all get theirs', async () => {
    const { made, ask } = answers()
    const content = [piece(10), piece(20)]
    const [first, second] = [ask('1', content), ask('1', content)]
    await first.next()
    expect((await gathered(second)).length).toBe(30)
    expect((await gathered(first)).length).toBe(20)
    await gathered(ask('1', content))
    expect(made).toEqual(['1', '1'])
  })

  test('are not kept when one is too large', async () => {
    const { made, ask } = answers()
    const large = [piece(9 * MiB)]
    for (let round = 0; round < 2; round++) await gathered(ask('1', large))
    expect(made).toEqual(['1', '1'])
  })

  test('make room for others, the one longest unused first', async () => {
    const { kept, ask } = answers()
    for (let key = 0; key < 8; key++) await gathered(ask(`${key}`, [piece(8 * MiB)]))
    await gathered(ask('0', []))
    await gathered(ask('new', [piece(8 * MiB)]))
    const keys = ['0', '1', '2', 'new']
    expect(keys.filter((key) => kept.has(key))).toEqual(['0', '2', 'new'])
  })

  test('do not go while they are read, however slowly, and are not in the way when all have left', async () => {
    const { kept, ask } = answers()
    const slow: AsyncGenerator<Uint8Array, void, void>[] = []
    for (let key = 0; key < 8; key++) {
      await gathered(ask(`${key}`, [piece(4 * MiB), piece(4 * MiB)]))
      const reader = ask(`${key}`, [])
      await reader.next()
      slow.push(reader)
    }
    // What would push out another is held by who reads that all the same.
    for (let key = 10; key < 20; key++) await gathered(ask(`${key}`, [piece(8 * MiB)]))
    expect([kept.has('0'), kept.has('7'), kept.has('19')]).toEqual([true, true, false])
    for (const reader of slow) await reader.return()
    await gathered(ask('20', [piece(8 * MiB)]))
    expect(kept.has('20')).toBe(true)
  })
})
