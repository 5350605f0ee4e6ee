import { describe, expect, test } from 'vitest'
import { SeededRandom } from '../support/random.ts'
import { Mutator } from './mutate.ts'
import { targets } from './targets/all.ts'

/** A server and codecs are for the long runs: `npm run fuzz`. */
const long = new Set(['http', 'codecs'])
const inputCount = 300

describe('A few broken inputs in each run', () => {
  test.each(Object.keys(targets).filter((name) => !long.has(name)))(
    '%s refuses them, or reads them, and nothing else',
    async (name) => {
      const target = await (targets[name] as () => ReturnType<(typeof targets)[string]>)()
      const random = new SeededRandom()
      const mutator = new Mutator(random, target.tokens, target.maxBytes ?? 16 * 1024)
      for (const seed of target.seeds) await target.run(seed)
      const any = () => target.seeds[Math.floor(random.next() * target.seeds.length)] as Buffer
      for (let count = 0; count < inputCount; count++) {
        const input = mutator.mutate(any(), any())
        await expect(
          Promise.resolve().then(() => target.run(input)),
          `TEST_SEED=${random.seed}, input ${count}`,
        ).resolves.not.toThrow()
      }
    },
  )
})
