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

  test('are kept by who is done first of those who ask at once, and all get theirs', async () => {
    const { made, ask } = answers()
    const content = [piece(10), piece(20)]
    const [slow, quick] = [ask('1', content), ask('1', content)]
    await slow.next()
    expect((await gathered(quick)).length).toBe(30)
    expect((await gathered(ask('1', content))).length).toBe(30)
    expect(made).toEqual(['1', '1'])
    expect((await gathered(slow)).length).toBe(20)
    await gathered(ask('1', content))
    expect(made).toEqual(['1', '1'])
  })

  test('take room once, also where two made the same', async () => {
    const { kept, ask } = answers()
    const keys = ['0', '1', '2', '3']
    for (const key of keys) {
      const content = [piece(7 * MiB)]
      await Promise.all([gathered(ask(key, content)), gathered(ask(key, content))])
    }
    expect(keys.filter((key) => kept.has(key))).toEqual(keys)
  })

  test("are not kept when one is too large, which takes nobody else's room", async () => {
    const { kept, made, ask } = answers()
    await gathered(ask('small', [piece(10)]))
    const large = Array.from({ length: 9 }, () => piece(MiB))
    const stalled: AsyncGenerator<Uint8Array, void, void>[] = []
    for (let count = 0; count < 6; count++) {
      const one = ask(`large ${count}`, large)
      for (let taken = 0; taken < 7; taken++) await one.next()
      stalled.push(one)
    }
    for (const one of stalled) await gathered(one)
    await gathered(ask('large 0', large))
    expect(made.filter((key) => key === 'large 0')).toHaveLength(2)
    expect(kept.has('small')).toBe(true)
    await gathered(ask('other', [piece(7 * MiB)]))
    expect(kept.has('other')).toBe(true)
  })

  test('make room for others, the one longest unused first', async () => {
    const { kept, ask } = answers()
    for (let key = 0; key < 4; key++) await gathered(ask(`${key}`, [piece(7 * MiB)]))
    await gathered(ask('0', []))
    await gathered(ask('new', [piece(7 * MiB)]))
    const keys = ['0', '1', '2', 'new']
    expect(keys.filter((key) => kept.has(key))).toEqual(['0', '2', 'new'])
  })

  test('do not go while they are read, however slowly, and are not in the way when all have left', async () => {
    const { kept, ask } = answers()
    const slow: AsyncGenerator<Uint8Array, void, void>[] = []
    for (let key = 0; key < 4; key++) {
      await gathered(ask(`${key}`, [piece(3 * MiB), piece(4 * MiB)]))
      const reader = ask(`${key}`, [])
      await reader.next()
      slow.push(reader)
    }
    // What would push out another is held by who reads that all the same.
    for (let key = 10; key < 14; key++) await gathered(ask(`${key}`, [piece(7 * MiB)]))
    expect([kept.has('0'), kept.has('3'), kept.has('13')]).toEqual([true, true, false])
    for (const reader of slow) await reader.return()
    await gathered(ask('20', [piece(7 * MiB)]))
    expect(kept.has('20')).toBe(true)
  })

  test('hold no more memory than is counted, when they came as pieces of something larger', async () => {
    const { kept, ask } = answers()
    for (let key = 0; key < 1000; key++) {
      const large = Buffer.allocUnsafeSlow(MiB).fill(key)
      await gathered(ask(`${key}`, [large.subarray(0, 700), large.subarray(5, 10)]))
    }
    expect(kept.has('0')).toBe(true)
    for await (const chunk of ask('0', [])) expect(chunk.buffer.byteLength).toBeLessThan(1000)
    expect((await gathered(ask('7', []))).equals(Buffer.alloc(705, 7))).toBe(true)
  })
})
