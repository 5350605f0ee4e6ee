import { describe, expect, test } from 'vitest'
import { Gathering } from '../../db/gathering.ts'

/** A statement that runs until it is answered. */
interface Statement {
  keys: number[]
  answer(): void
  fail(error: Error): void
}

function start() {
  const statements: Statement[] = []
  const gathering = new Gathering<number, string>((keys) => {
    const { promise, resolve, reject } = withResolvers<string[]>()
    statements.push({
      keys,
      answer: () => resolve(keys.map((key) => `value of ${key}`)),
      fail: reject,
    })
    return promise
  })
  return { statements, gathering }
}

function withResolvers<T>() {
  let resolve: (value: T) => void = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

const keysOf = (statements: Statement[]) => statements.map(({ keys }) => keys)

describe('Gathering', () => {
  test('looks for one key at once, and for all that came meanwhile in one statement', async () => {
    const { statements, gathering } = start()
    const first = gathering.get(1)
    const others = [gathering.get(2), gathering.get(3), gathering.get(2)]
    expect(keysOf(statements)).toEqual([[1]])
    statements[0]?.answer()
    expect(await first).toBe('value of 1')
    await expect.poll(() => keysOf(statements)).toEqual([[1], [2, 3, 2]])
    statements[1]?.answer()
    expect(await Promise.all(others)).toEqual(['value of 2', 'value of 3', 'value of 2'])
  })

  test('tells an error to those who were looked for, and goes on with the others', async () => {
    const { statements, gathering } = start()
    const first = gathering.get(1)
    const second = gathering.get(2)
    statements[0]?.fail(new Error('the connection broke'))
    await expect(first).rejects.toThrow('the connection broke')
    await expect.poll(() => keysOf(statements)).toEqual([[1], [2]])
    statements[1]?.answer()
    expect(await second).toBe('value of 2')
  })

  test('does not wait for long for a statement that hangs', async () => {
    const { statements, gathering } = start()
    const first = gathering.get(1)
    const second = gathering.get(2)
    await expect.poll(() => keysOf(statements)).toEqual([[1], [2]])
    statements[1]?.answer()
    expect(await second).toBe('value of 2')
    // Who hangs is answered all the same, and what was asked meanwhile only once.
    statements[0]?.answer()
    expect(await first).toBe('value of 1')
    const third = gathering.get(3)
    expect(keysOf(statements)).toEqual([[1], [2], [3]])
    statements[2]?.answer()
    expect(await third).toBe('value of 3')
  })

  test('looks for a hundred keys at once at most', async () => {
    const { statements, gathering } = start()
    const first = gathering.get(0)
    const others = Array.from({ length: 150 }, (_, index) => gathering.get(index + 1))
    statements[0]?.answer()
    await expect.poll(() => statements.length).toBe(3)
    expect(statements.map(({ keys }) => keys.length)).toEqual([1, 100, 50])
    for (const { answer } of statements) answer()
    await first
    expect(await Promise.all(others)).toHaveLength(150)
  })
})
