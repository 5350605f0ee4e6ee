import type { Buffer } from 'node:buffer'
import { getHeapStatistics } from 'node:v8'
import type { SeededRandom } from '../support/random.ts'
import { Coverage } from './coverage.ts'
import type { CurrentInput } from './current-input.ts'
import { Mutator } from './mutate.ts'
import type { Target } from './target.ts'

export type FindingKind = 'error' | 'hang' | 'memory'

export interface Finding {
  kind: FindingKind
  input: Uint8Array
  /** What was thrown, how long it took, or how much memory it took. */
  what: string
}

/** An input that takes longer is a hang. */
const hangMs = 1000
/** One that takes more memory than this is a finding. */
const memoryBytes = 256 * 2 ** 20
const batchSize = 250

/**
 * Reads inputs that it makes of others, and keeps those by which new code ran, to make more of them.
 *
 * In batches: inputs are made and read; if the batch as a whole ran a block of code that none had run before, its halves
 * are read again, until it is known which input it was.
 */
export class Fuzzer {
  executions = 0
  readonly #target: Target
  readonly #corpus: Buffer[]
  readonly #random: SeededRandom
  readonly #mutator: Mutator
  readonly #coverage: Coverage | undefined
  readonly #current: CurrentInput
  readonly #found: (finding: Finding) => void
  readonly #kept: (input: Buffer) => void
  readonly #answers = new Set<string>()

  constructor(
    target: Target,
    corpus: Buffer[],
    told: {
      random: SeededRandom
      current: CurrentInput
      found: (finding: Finding) => void
      kept: (input: Buffer) => void
    },
  ) {
    const { random, current, found, kept } = told
    this.#target = target
    this.#corpus = corpus
    this.#random = random
    this.#mutator = new Mutator(random, target.tokens, target.maxBytes ?? 16 * 1024)
    this.#coverage = target.isSeen === false ? undefined : new Coverage()
    this.#current = current
    this.#found = found
    this.#kept = kept
  }

  get corpusCount(): number {
    return this.#corpus.length
  }

  get blockCount(): number {
    return this.#coverage?.blockCount ?? 0
  }

  /** Reads what is there already, so that only what is beyond that counts as new. */
  async begin(): Promise<void> {
    for (const input of this.#corpus) await this.#read(input)
    this.#coverage?.hasNew()
  }

  async batch(): Promise<void> {
    const inputs = Array.from({ length: batchSize }, () =>
      this.#mutator.mutate(this.#any(), this.#any()),
    )
    await this.#keepNew(inputs)
  }

  async #keepNew(inputs: Buffer[]): Promise<void> {
    for (const input of inputs) {
      if (await this.#read(input)) this.#keep(input)
    }
    const isOne = inputs.length === 1
    if (!this.#coverage?.hasNew(isOne)) return
    if (isOne) {
      this.#keep(inputs[0] as Buffer)
      return
    }
    const middle = Math.floor(inputs.length / 2)
    await this.#keepNew(inputs.slice(0, middle))
    await this.#keepNew(inputs.slice(middle))
  }

  #keep(input: Buffer): void {
    this.#corpus.push(input)
    this.#kept(input)
  }

  /** @returns whether it was answered as none before. */
  async #read(input: Buffer): Promise<boolean> {
    let isNew = false
    this.executions++
    const bytesBefore = this.#memoryBytes()
    this.#current.begin(input)
    try {
      const running = this.#target.run(input)
      const answer = running instanceof Promise ? await running : running
      if (answer !== undefined && !this.#answers.has(answer)) {
        this.#answers.add(answer)
        isNew = true
      }
    } catch (error) {
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.#found({ kind: 'error', input, what })
    }
    const ms = this.#current.ageMs
    this.#current.end()
    if (ms > hangMs) await this.#confirmHang(input)
    const bytes = this.#memoryBytes() - bytesBefore
    if (bytes > memoryBytes) {
      this.#found({ kind: 'memory', input, what: `${Math.round(bytes / 2 ** 20)} MiB` })
    }
    return isNew
  }

  /** On a busy machine anything may take a second: so it is read again, and the processor's time counts, too. */
  async #confirmHang(input: Buffer): Promise<void> {
    const before = this.#cpuMs()
    this.#current.begin(input)
    try {
      await this.#target.run(input)
    } catch {
      // It was told before.
    }
    const ms = this.#current.ageMs
    this.#current.end()
    const cpuMs = this.#cpuMs() - before
    const isHang = (ms > hangMs && cpuMs > hangMs / 2) || ms > 5 * hangMs
    if (isHang) this.#found({ kind: 'hang', input, what: `${ms} ms, ${cpuMs} of a processor` })
  }

  #cpuMs(): number {
    if (this.#target.cpuMs !== undefined) return this.#target.cpuMs()
    const { user, system } = process.cpuUsage()
    return Math.round((user + system) / 1000)
  }

  #memoryBytes(): number {
    const { used_heap_size, external_memory } = getHeapStatistics()
    return used_heap_size + external_memory + (this.#target.memoryBytes?.() ?? 0)
  }

  #any(): Buffer {
    return this.#corpus[Math.floor(this.#random.next() * this.#corpus.length)] as Buffer
  }
}
