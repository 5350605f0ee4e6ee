import type { Reporter, TestCase } from 'vitest/node'

/** Says which tests passed only when they were tried again, and what was wrong at first. */
export class FlakyReporter implements Reporter {
  readonly #flaky: TestCase[] = []

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky) this.#flaky.push(test)
  }

  onTestRunEnd(): void {
    for (const test of this.#flaky) {
      console.log(`FLAKY ${test.module.relativeModuleId} > ${test.fullName}`)
      for (const { message, stack } of test.result().errors ?? []) {
        console.log(`  ${stack?.split('\n').slice(0, 12).join('\n  ') ?? message}`)
      }
    }
  }
}
