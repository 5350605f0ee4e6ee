/**
 * Measures what open pages cost the intake: the same server takes studies with and without so many live streams of the list
 * of studies, by turns.
 *
 *     node --import tsx test/bench/live-pages.ts [--pages 200] [--rounds 5]
 */
import { rmSync } from 'node:fs'
import { get } from 'node:http'
import { parseArgs } from 'node:util'
import { makeFolder } from './folder.ts'
import { LoadGenerator } from './load-generator.ts'
import { wholeNumber } from './options.ts'
import { quantile } from './statistics.ts'
import { startStowage } from './stowage.ts'

const { values } = parseArgs({ options: { pages: { type: 'string' }, rounds: { type: 'string' } } })
const pages = wholeNumber('--pages', values.pages, 200, 1)
const rounds = wholeNumber('--rounds', values.rounds, 5, 1)
const folder = await makeFolder()

try {
  await using server = await startStowage('node', folder)
  using generator = new LoadGenerator()
  const liveURL = new URL('/live/studies', server.studiesURL)
  let tag = 0
  let heard = 0
  const rateOf = async (isWatched: boolean): Promise<number> => {
    tag++
    const streams = isWatched
      ? await Promise.all(Array.from({ length: pages }, () => watch(liveURL)))
      : []
    const job = { url: server.studiesURL, set: 'many', size: 'full', tag, perRequest: 10 } as const
    const result = await generator.run({
      ...{ ...job, concurrency: 4, isChunked: false, isConfirmed: true },
    })
    for (const end of streams) end()
    if (result.problemCount > 0) throw new Error(result.problems.join('; '))
    return result.instanceCount / (result.wallMs / 1000)
  }
  const watch = (url: URL) =>
    new Promise<() => void>((resolve, reject) => {
      // As browsers ask.
      const headers = { 'accept-encoding': 'gzip, deflate, br' }
      const request = get(url, { agent: false, headers }, (answer) => {
        if (answer.statusCode !== 200) reject(new Error(`Live with ${answer.statusCode}`))
        answer.on('data', (chunk: Buffer) => {
          heard += chunk.length
        })
        answer.on('error', () => {})
        resolve(() => request.destroy())
      })
      request.on('error', reject)
    })
  for (const isWatched of [false, true]) await rateOf(isWatched)
  heard = 0
  const ratios: number[] = []
  for (let round = 1; round <= rounds; round++) {
    // Whoever comes second in a round comes first in the next one.
    const first = await rateOf(round % 2 === 0)
    const second = await rateOf(round % 2 === 1)
    const [without, watched] = round % 2 === 0 ? [second, first] : [first, second]
    ratios.push(watched / without)
    console.log(`round ${round}: without ${without.toFixed(0)}/s, with ${watched.toFixed(0)}/s`)
  }
  console.log(
    `${rounds} rounds, ${pages} pages, ${(heard / rounds / pages / 1000).toFixed(0)} KB for each of them in a round; ` +
      `median of the ratios ${quantile(ratios, 0.5).toFixed(3)}`,
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
