import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take longest, the longest first: begun late, one of them would run alone at the end. */
const longest = [
  'e2e/page.test.ts',
  'e2e/kill.test.ts',
  'e2e/page-study.test.ts',
  'e2e/page-ways.test.ts',
  'e2e/kill-database.test.ts',
  'e2e/deletion.test.ts',
  'e2e/memory.test.ts',
  'e2e/access.test.ts',
  'e2e/kill-many.test.ts',
  'e2e/backup.test.ts',
  'e2e/stability.test.ts',
  'e2e/stability-away.test.ts',
  'e2e/demo.test.ts',
  'e2e/disk-full.test.ts',
  'e2e/webhooks.test.ts',
  'e2e/cut.test.ts',
  'e2e/wado-corpus.test.ts',
  'e2e/metadata-memory.test.ts',
  'e2e/senders.test.ts',
  'e2e/stability-storm.test.ts',
  'postgres/embedded.test.ts',
  'pixels/worker-pool.test.ts',
]

/** The order of test files on a clean checkout, where vitest knows of nothing how long it takes. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => rankOf(a) - rankOf(b))
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const rank = longest.findIndex((name) => moduleId.endsWith(`test/${name}`))
  return rank === -1 ? longest.length : rank
}
