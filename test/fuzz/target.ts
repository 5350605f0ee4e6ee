import type { Buffer } from 'node:buffer'

/** One thing that reads what strangers send, as the fuzzer sees it. */
export interface Target {
  /** Inputs that are right, to begin with. */
  seeds: Buffer[]
  /** Pieces that inputs are made of: put in by mutations, whole. */
  tokens: readonly (string | Uint8Array)[]
  /** Bytes of an input, at most. */
  maxBytes?: number
  /** Says that what it reads runs in this thread, so that its coverage can be seen. Default true. */
  isSeen?: boolean
  /**
   * Reads one input. Bad input is to be refused with the error made for that, which is swallowed here.
   *
   * @returns where it cannot be seen which code runs: what was said to the input, for one with a new answer is kept
   * @throws what must not be: any other error, or a broken promise of the reader
   */
  run(input: Buffer): Outcome | Promise<Outcome>
  /** Bytes that others than this thread have taken for it, as the server of the target `http`. */
  memoryBytes?(): number
  /** Milliseconds that others than this process have computed for it. */
  cpuMs?(): number
  end?(): Promise<void>
}

// biome-ignore lint/suspicious/noConfusingVoidType: most targets return nothing
type Outcome = string | void

/** Makes a target; async, since some need a server or codecs. */
export type MakeTarget = () => Target | Promise<Target>
