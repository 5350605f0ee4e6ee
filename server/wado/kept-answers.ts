import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip } from 'node:zlib'
import { Kept } from '../kept.ts'

/** Bytes of all answers that are kept, and of one of them. */
const keptBytes = 64 * 2 ** 20
const answerBytes = 8 * 2 ** 20

/**
 * Answers in gzip, kept by their version while there is room, the one longest unused going first: to compress the metadata
 * of a study takes longer than all else that its answer takes.
 */
export class KeptAnswers {
  readonly #answers = new Kept<string, Uint8Array[]>(keptBytes)
  /** Versions that are being made to be kept, and what there is of them already. */
  readonly #making = new Set<string>()
  #madeBytes = 0

  has(version: string): boolean {
    return this.#answers.has(version)
  }

  /** The answer in gzip, made while it is taken, if it is not there. */
  async *gzipped(
    version: string,
    make: () => AsyncGenerator<Uint8Array, void, void>,
  ): AsyncGenerator<Uint8Array, void, void> {
    const kept = this.#answers.get(version)
    if (kept !== undefined) {
      yield* kept
      return
    }
    // One of those who ask at once keeps what it made; whoever reads slowly must not hold much.
    let made: Uint8Array[] | undefined = this.#making.has(version) ? undefined : []
    let bytes = 0
    if (made !== undefined) this.#making.add(version)
    const forget = () => {
      if (made === undefined) return
      made = undefined
      this.#making.delete(version)
      this.#madeBytes -= bytes
    }
    try {
      for await (const chunk of gzip(make())) {
        if (made !== undefined) {
          made.push(chunk)
          bytes += chunk.length
          this.#madeBytes += chunk.length
          if (bytes > answerBytes || this.#madeBytes > keptBytes) forget()
        }
        yield chunk
      }
      if (made !== undefined) this.#answers.set(version, made, bytes)
    } finally {
      forget()
    }
  }
}

async function* gzip(
  chunks: AsyncGenerator<Uint8Array, void, void>,
): AsyncGenerator<Uint8Array, void, void> {
  const source = Readable.from(chunks, { objectMode: false })
  // JSON of one study repeats itself: the quickest level makes it a tenth already.
  const packed = createGzip({ level: constants.Z_BEST_SPEED, chunkSize: 64 * 1024 })
  const ended = pipeline(source, packed)
  ended.catch(() => {})
  try {
    for await (const chunk of packed) yield chunk as Uint8Array
    await ended
  } finally {
    source.destroy()
    packed.destroy()
  }
}
