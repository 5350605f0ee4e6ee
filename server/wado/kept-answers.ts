/** Bytes of all answers that are kept, are being made to be kept, or are still being read; and of one of them. */
const keptBytes = 64 * 2 ** 20
const answerBytes = 8 * 2 ** 20

interface KeptAnswer {
  pieces: Uint8Array[]
  byteLength: number
  /** Who is reading holds it in memory, however slowly he reads: as long as one is, it does not go. */
  readers: number
}

/**
 * Answers of some size, kept by what they are an answer to, while there is room; the one longest unused goes first. To read and
 * compress the metadata of a study takes longer than all else that the answer takes.
 */
export class KeptAnswers {
  readonly #answers = new Map<string, KeptAnswer>()
  /** What is being made to be kept. */
  readonly #making = new Set<string>()
  #bytes = 0

  has(key: string): boolean {
    return this.#answers.has(key)
  }

  /** The answer, made while it is taken, if it is not there. @param key Never of two answers that differ. */
  async *read(
    key: string,
    make: () => AsyncGenerator<Uint8Array, void, void>,
  ): AsyncGenerator<Uint8Array, void, void> {
    const kept = this.#answers.get(key)
    if (kept !== undefined) {
      this.#answers.delete(key)
      this.#answers.set(key, kept)
      yield* readKept(kept)
    } else if (this.#making.has(key)) {
      // One of those who ask at once keeps what it made.
      yield* make()
    } else {
      yield* this.#make(key, make())
    }
  }

  async *#make(
    key: string,
    chunks: AsyncGenerator<Uint8Array, void, void>,
  ): AsyncGenerator<Uint8Array, void, void> {
    let made: Uint8Array[] | undefined = []
    let byteLength = 0
    this.#making.add(key)
    const forget = () => {
      made = undefined
      this.#bytes -= byteLength
      byteLength = 0
    }
    try {
      for await (const chunk of chunks) {
        if (made !== undefined) {
          made.push(chunk)
          byteLength += chunk.length
          this.#bytes += chunk.length
          if (byteLength > answerBytes || !this.#makeRoom()) forget()
        }
        yield chunk
      }
      if (made === undefined) return
      this.#answers.set(key, { pieces: made, byteLength, readers: 0 })
      // It is counted there now.
      byteLength = 0
    } finally {
      forget()
      this.#making.delete(key)
    }
  }

  /** @returns Whether there is room for all that is counted. */
  #makeRoom(): boolean {
    for (const [key, { readers, byteLength }] of this.#answers) {
      if (this.#bytes <= keptBytes) return true
      if (readers > 0) continue
      this.#answers.delete(key)
      this.#bytes -= byteLength
    }
    return this.#bytes <= keptBytes
  }
}

async function* readKept(answer: KeptAnswer): AsyncGenerator<Uint8Array, void, void> {
  answer.readers++
  try {
    yield* answer.pieces
  } finally {
    answer.readers--
  }
}
