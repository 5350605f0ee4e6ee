/** Bytes of metadata from which an instance waits for its turn. */
export const heavyBytes = 1024 * 1024

/**
 * Lets one after the other do what takes much memory: metadata that were parsed take some ten times their bytes. Nobody
 * who has the turn waits for a sender.
 */
export class Turn {
  #last = Promise.resolve()

  /** Resolves when it is the caller's turn, until what it gets is disposed. */
  async take(): Promise<Disposable> {
    const before = this.#last
    let release = () => {}
    this.#last = new Promise((resolve) => {
      release = resolve
    })
    await before
    return { [Symbol.dispose]: () => release() }
  }
}
