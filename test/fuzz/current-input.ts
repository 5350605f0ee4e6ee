import { Buffer } from 'node:buffer'

const most = 2 * 2 ** 20

/** What a fuzzing thread is at, where another thread can see it: for inputs that never end, or end the thread. */
export class CurrentInput {
  readonly shared: SharedArrayBuffer
  readonly #startedAt: Float64Array
  readonly #length: Float64Array
  readonly #bytes: Uint8Array

  constructor(shared = new SharedArrayBuffer(16 + most)) {
    this.shared = shared
    this.#startedAt = new Float64Array(shared, 0, 1)
    this.#length = new Float64Array(shared, 8, 1)
    this.#bytes = new Uint8Array(shared, 16)
  }

  begin(input: Buffer): void {
    this.#bytes.set(input.subarray(0, most))
    this.#length[0] = input.length
    this.#startedAt[0] = Date.now()
  }

  end(): void {
    this.#startedAt[0] = 0
  }

  /** Milliseconds since it began; 0 when nothing is read. */
  get ageMs(): number {
    const startedAt = this.#startedAt[0] as number
    return startedAt === 0 ? 0 : Date.now() - startedAt
  }

  get bytes(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length[0]))
  }
}
