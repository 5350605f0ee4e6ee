/** Bytes of bodies that are read in one turn of the event loop, before others have theirs: some ms of work. */
const turnBytes = 256 * 1024

/** What one body brings at least when it is read on: one read of a socket. */
const chunkBytes = 64 * 1024

/**
 * Lets bodies that bring much be read in turns, some in each turn of the event loop.
 *
 * Without it a turn takes as long as the bytes of all senders together: with 500 that send as fast as they can a page,
 * which needs some ten turns, took 784 ms at the median, and takes 97 ms; studies came in 17 % slower (test/bench/senders.ts).
 */
export class ReadingTurns {
  #taken = 0
  #line: (() => void)[] = []
  #isNextDue = false

  /** @returns whether more may be read in this turn. Otherwise whoever asks stops reading, and gets in line. */
  take(bytes: number): boolean {
    this.#taken += bytes
    this.#comeToNext()
    return this.#taken < turnBytes
  }

  /** @param go Called once, when it is the body's turn. */
  queue(go: () => void): void {
    this.#line.push(go)
    this.#comeToNext()
  }

  #comeToNext(): void {
    if (this.#isNextDue) return
    this.#isNextDue = true
    setImmediate(() => {
      this.#isNextDue = false
      this.#taken = 0
      const next = this.#line.splice(0, turnBytes / chunkBytes)
      if (this.#line.length > 0) this.#comeToNext()
      for (const go of next) go()
    })
  }
}
