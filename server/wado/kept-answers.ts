import { Kept } from '../kept.ts'

/** Bytes of all answers that are kept or still being read, of all that are being made to be kept, and of one of them. */
const keptBytes = 32 * 2 ** 20
const makingBytes = 16 * 2 ** 20
const answerBytes = 8 * 2 ** 20
/** What it costs to keep one, beside its bytes. */
const entryBytes = 1024

interface KeptAnswer {
  pieces: Uint8Array[]
  /** Who is reading holds it in memory, however slowly he reads: as long as one is, it does not go. */
  readers: number
}

/**
 * Answers of some size, kept by what they are an answer to, while there is room; the one longest unused goes first. To read and
 * compress the metadata of a study takes longer than all else that the answer takes.
 */
export class KeptAnswers {
  readonly #answers = new Kept<string, KeptAnswer>(keptBytes, ({ readers }) => readers > 0)
  #makingBytes = 0

  has(key: string): boolean {
    return this.#answers.has(key)
  }

  /** The answer, made while it is taken, if it is not there. @param key Never of two answers that differ. */
  async *read(
    key: string,
    make: () => AsyncGenerator<Uint8Array, void, void>,
  ): AsyncGenerator<Uint8Array, void, void> {
    const kept = this.#answers.get(key)
    if (kept === undefined) {
      yield* this.#make(key, make())
      return
    }
    kept.readers++
    try {
      yield* kept.pieces
    } finally {
      kept.readers--
    }
  }

  async *#make(
    key: string,
    chunks: AsyncGenerator<Uint8Array, void, void>,
  ): AsyncGenerator<Uint8Array, void, void> {
    let pieces: Uint8Array[] | undefined = []
    let byteLength = entryBytes
    this.#makingBytes += byteLength
    const forget = () => {
      pieces = undefined
      this.#makingBytes -= byteLength
      byteLength = 0
    }
    try {
      for await (const chunk of chunks) {
        if (pieces !== undefined) {
          const piece = withoutSlack(chunk)
          pieces.push(piece)
          byteLength += piece.buffer.byteLength
          this.#makingBytes += piece.buffer.byteLength
          if (byteLength > answerBytes || this.#makingBytes > makingBytes) forget()
        }
        yield chunk
      }
      // Unless another one who made it was done before.
      if (pieces !== undefined && !this.#answers.has(key)) {
        this.#answers.set(key, { pieces, readers: 0 }, byteLength)
      }
    } finally {
      forget()
    }
  }
}

/** Bytes that hold little more memory than they are: those of zlib and of the pool are pieces of something larger. */
function withoutSlack(chunk: Uint8Array): Uint8Array {
  return chunk.buffer.byteLength > 1.5 * chunk.length ? new Uint8Array(chunk) : chunk
}
