import { expect, test } from 'vitest'
import { jsonAnswer } from '../../server/qido/answer.ts'

test.each([
  ['', ['{"a":1}', '', '{"b":2}'], [{ a: 1 }, { b: 2 }]],
  ['{"a":1}', ['', '{"b":2}'], [{ a: 1 }, { b: 2 }]],
  ['', ['', ''], []],
])(
  'results are an array, also when all of a block was deleted meanwhile: "%s", then %j',
  async (first, blocks, expected) => {
    async function* rest(): AsyncGenerator<string, void, void> {
      yield* blocks
    }
    const results = { count: 200, beyondCount: 0, first, json: undefined, rest }
    const answer = jsonAnswer(results, rest(), new Headers(), () => {})
    expect(await answer.json()).toEqual(expected)
  },
)
