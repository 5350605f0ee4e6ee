import type { Database } from '../../db/database.ts'
import { type ResultKey, readStudies } from '../../db/search.ts'
import { Kept } from '../kept.ts'
import type { Patience } from './patience.ts'
import type { ResultsAsked } from './results.ts'

/** Characters of all texts that are kept: of some ten thousand studies. */
const keptLength = 8 * 2 ** 20

/**
 * What studies say of themselves as results of a search, kept with the version of the row that says it, the one longest unused
 * going first. Lists of studies are asked for over and over, by worklists above all, and Postgres takes longer to write them
 * than to find them. What is found now, and in which version, it always tells itself: nothing old is given.
 *
 * `studies?limit=50` with eight clients: 1,550 a second for 1,180, and the beginning of a name 1,130 for 820.
 */
export class KeptStudies {
  readonly #kept = new Kept<string, { version: string; text: string }>(keptLength)

  /** The texts of studies, in the order of their keys. Those that were deleted meanwhile say nothing. */
  async read(
    keys: readonly ResultKey[],
    versions: readonly string[],
    { search: { told }, studiesURL }: ResultsAsked,
    db: Database,
    patience: Patience,
  ): Promise<string[]> {
    const form = `${told.completeness ?? false} ${studiesURL}`
    const texts = keys.map((key, index) => this.#get(`${key} ${form}`, versions[index] as string))
    const unknown = keys.filter((_, index) => texts[index] === undefined)
    if (unknown.length > 0) {
      const read = await patience.with(readStudies(db, told, unknown, studiesURL))
      const found = new Map(read.map(({ key, text }) => [key, text]))
      for (const { key, version, text } of read) {
        this.#kept.set(`${key} ${form}`, { version, text }, text.length)
      }
      for (const [index, key] of keys.entries()) texts[index] ??= found.get(key)
    }
    return texts.filter((text) => text !== undefined)
  }

  #get(name: string, version: string): string | undefined {
    const kept = this.#kept.get(name)
    return kept?.version === version ? kept.text : undefined
  }
}
