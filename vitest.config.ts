import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { leftOutElsewhere } from './test/support/elsewhere.ts'
import { FlakyReporter } from './test/support/flaky-reporter.ts'
import { LongestFirst } from './test/support/longest-first.ts'

// In CI a test that fails is tried once more, so that one failure by chance does not hide the others; it is
// reported, and is to be mended as any other.
const isCI = process.env.CI === 'true'
const retry = isCI ? 1 : 0

// Tests wait more than they compute: on two processors the default, one worker, leaves both idle half of the time.
const maxWorkers = Math.max(2, availableParallelism() - 1)

export default defineConfig({
  test: {
    maxWorkers,
    sequence: { sequencer: LongestFirst },
    reporters: isCI ? ['default', new FlakyReporter()] : ['default'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts', 'test/**/*.test.tsx'],
          exclude: ['test/e2e/**'],
          globalSetup: ['test/support/global-setup.ts'],
          retry,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: leftOutElsewhere(process.env.RUNTIME, process.env.TEST_DATABASE_URL),
          globalSetup: ['test/support/e2e-setup.ts'],
          retry,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
