import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { readNewSecret } from '../../server/commands/read-secret.ts'

/** Somebody's terminal, or a pipe; `typed` comes in as it is typed, and `shown` is all that is seen. */
function streams(isTTY: boolean) {
  const input = Object.assign(new PassThrough(), { isTTY })
  let shown = ''
  const output = { write: (text: string) => (shown += text) }
  return { input, output, shown: () => shown }
}

describe('a new secret', () => {
  test('is asked for twice on a terminal, and not shown', async () => {
    const { input, output, shown } = streams(true)
    const read = readNewSecret('Password for ann', { input, output })
    // All at once, as it is pasted.
    input.write('battery staple\rbattery staple\r')
    expect(await read).toBe('battery staple')
    expect(shown()).toBe('Password for ann: \nThe same again: \n')
  })

  test('is not taken when it was not typed the same', async () => {
    const { input, output } = streams(true)
    const read = readNewSecret('Password for ann', { input, output })
    input.write('battery staple\r')
    input.write('battery stable\r')
    await expect(read).rejects.toThrow('Cannot take this: it was not typed the same twice')
  })

  test('is one line of a pipe, with or without its end, and nothing is asked', async () => {
    for (const text of ['battery staple\nmore\n', 'battery staple']) {
      const { input, output, shown } = streams(false)
      input.end(text)
      expect(await readNewSecret('Password for ann', { input, output })).toBe('battery staple')
      expect(shown()).toBe('')
    }
  })
})
