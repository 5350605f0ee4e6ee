import { inflateSync } from 'node:zlib'
import { expect, test } from 'vitest'
import {
  type DeflatedPart,
  DeflatedStream,
  deflatePart,
} from '../../server/http/deflated-stream.ts'

test('parts that were compressed once stand in any stream, in any order, and its sum is right', () => {
  const texts = ['', 'a', 'one and one and one', 'ÿ'.repeat(1_500_000)]
  const parts = texts.map((text) => deflatePart(Buffer.from(text)))
  for (const order of [[], [1], [2, 2], [3, 0, 2], [1, 3, 3]]) {
    const stream = new DeflatedStream()
    const sent = order.map((index) => stream.add(parts[index] as DeflatedPart))
    // It throws where the sum is another.
    const read = inflateSync(Buffer.concat([DeflatedStream.beginning, ...sent, stream.end()]))
    expect(read.equals(Buffer.from(order.map((index) => texts[index]).join('')))).toBe(true)
  }
})

test('each part can be read when it is there, before there is a next one', () => {
  const stream = new DeflatedStream()
  const sent = [DeflatedStream.beginning, stream.add(deflatePart(Buffer.from('news')))]
  const read = inflateSync(Buffer.concat(sent), { finishFlush: 2 })
  expect(read.toString()).toBe('news')
})
