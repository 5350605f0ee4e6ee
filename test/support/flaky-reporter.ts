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
      for (const error of test.result().errors ?? []) tell(error as Told)
    }
  }
}

/** An error of the test and one of what it disposed of come as one, which holds both. (ECMAScript, SuppressedError) */
interface Told {
  message?: string
  stack?: string
  error?: Told
  suppressed?: Told
}

function tell({ message, stack, error, suppressed }: Told): void {
  console.log(`  ${stack?.split('\n').slice(0, 12).join('\n  ') ?? message}`)
  if (error !== undefined) tell(error)
  if (suppressed !== undefined) tell(suppressed)
}
