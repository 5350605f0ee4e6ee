import type { StagedInstance } from '../../db/transfers.ts'

const queuedBatches = 2
/** UIDs that are as large as one row. */
const referencesOfARow = 10

/**
 * The rows of the parts that were accepted, on their way into the database: held until they are a batch, then staged in the
 * background, while more parts arrive.
 */
export class Staging {
  readonly #batchRows: number
  readonly #stage: (batch: StagedInstance[]) => Promise<void>
  #held: StagedInstance[] = []
  /** In rows: one that refers to many others is as large as several. */
  #heldWeight = 0
  #background: Promise<void>[] = []

  /** @param batchRows Rows that are a batch. */
  constructor(batchRows: number, stage: (batch: StagedInstance[]) => Promise<void>) {
    this.#batchRows = batchRows
    this.#stage = stage
  }

  /** Rows that are not yet staged. */
  get held(): StagedInstance[] {
    return this.#held
  }

  add(row: StagedInstance): void {
    this.#held.push(row)
    this.#heldWeight += 1 + (row.evidence?.references?.length ?? 0) / referencesOfARow
    if (this.#heldWeight >= this.#batchRows) this.stageHeld()
  }

  stageHeld(): void {
    if (this.#held.length === 0) return
    const batch = this.#held
    this.#held = []
    this.#heldWeight = 0
    this.beside(this.#stage(batch))
  }

  /** Other work that the transfer waits for together with its batches. */
  beside(work: Promise<void>): void {
    // Awaited later; until then a failure must not count as unhandled.
    work.catch(() => {})
    this.#background.push(work)
  }

  get isBehind(): boolean {
    return this.#background.length > queuedBatches
  }

  /** Resolves when little is on its way. @throws what staging throws */
  async drain(): Promise<void> {
    while (this.isBehind) await this.#background.shift()
  }

  /** Stages what is held, and resolves when all is staged. @throws what staging throws */
  async finish(): Promise<void> {
    this.stageHeld()
    await Promise.all(this.#background)
  }

  /** Resolves when nothing is on its way any more. Never throws. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#background)
  }
}
