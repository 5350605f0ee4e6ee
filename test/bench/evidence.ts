// What verdicts cost: the same server takes studies of which nothing is known, and such of which a list of all their
// instances was declared before, by turns.
// Run: node --import tsx test/bench/evidence.ts [rounds] [instances a request]
import { rmSync } from 'node:fs'
import { makeFolder } from './folder.ts'
import { LoadGenerator } from './load-generator.ts'
import { makeInstances, shapeOf } from './sets.ts'
import { quantile } from './statistics.ts'
import { startStowage } from './stowage.ts'

const [rounds = 10, perRequest = 50] = process.argv.slice(2).map(Number)
const set = 'small'
const shape = shapeOf(set, 'full')
const folder = await makeFolder()

try {
  await using server = await startStowage('node', folder)
  using generator = new LoadGenerator()
  let tag = 0
  const rateOf = async (isDeclared: boolean): Promise<number> => {
    tag++
    if (isDeclared) await declare(server.studiesURL, tag)
    const job = {
      url: server.studiesURL,
      set,
      size: 'full',
      tag,
      perRequest,
      concurrency: 4,
    } as const
    const result = await generator.run({ ...job, isChunked: false, isConfirmed: true })
    if (result.problemCount > 0) throw new Error(result.problems.join('; '))
    await expectVerdict(server.studiesURL, tag, isDeclared ? 'complete' : 'unknown')
    return result.instanceCount / (result.wallMs / 1000)
  }
  for (const isDeclared of [false, true]) await rateOf(isDeclared)
  const pairs: { without: number; with: number }[] = []
  for (let round = 0; round < rounds; round++) {
    // Whoever comes second in a round comes first in the next one.
    const first = await rateOf(round % 2 === 0)
    const second = await rateOf(round % 2 === 1)
    const pair =
      round % 2 === 0 ? { with: first, without: second } : { with: second, without: first }
    pairs.push(pair)
    console.log(
      `round ${round + 1}: without ${pair.without.toFixed(0)}/s, with ${pair.with.toFixed(0)}/s`,
    )
  }
  const ratios = pairs.map((pair) => pair.with / pair.without)
  const median = (values: number[]) => quantile(values, 0.5)
  console.log(
    `${rounds} rounds of ${shape.seriesPerStudy * shape.instancesPerSeries} instances, ${perRequest} a request: ` +
      `without ${median(pairs.map((pair) => pair.without)).toFixed(0)}/s, ` +
      `with ${median(pairs.map((pair) => pair.with)).toFixed(0)}/s; median of the ratios ${median(ratios).toFixed(3)}`,
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** The UID of the one study of a set: the instances' without the parts of the series and the instance. */
function studyOf(tag: number): { studyInstanceUID: string; sopInstanceUIDs: string[] } {
  const sopInstanceUIDs = makeInstances(set, shape, tag).map((one) => one.sopInstanceUID)
  const studyInstanceUID = (sopInstanceUIDs[0] as string).split('.').slice(0, -2).join('.')
  return { studyInstanceUID, sopInstanceUIDs }
}

async function declare(studiesURL: string, tag: number): Promise<void> {
  const { studyInstanceUID, sopInstanceUIDs } = studyOf(tag)
  const answer = await fetch(apiOf(studiesURL, `${studyInstanceUID}/evidence`), {
    method: 'PUT',
    body: JSON.stringify({ sopInstanceUIDs }),
  })
  if (answer.status !== 200) throw new Error(`Declared with ${answer.status}`)
}

async function expectVerdict(studiesURL: string, tag: number, expected: string): Promise<void> {
  const { studyInstanceUID } = studyOf(tag)
  const answer = await fetch(apiOf(studiesURL, studyInstanceUID))
  const { completeness } = (await answer.json()) as { completeness: { verdict: string } }
  if (completeness.verdict !== expected) throw new Error(`The verdict is ${completeness.verdict}`)
}

function apiOf(studiesURL: string, path: string): string {
  return `${new URL(studiesURL).origin}/api/studies/${path}`
}
