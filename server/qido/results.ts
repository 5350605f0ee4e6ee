import type { Database } from '../../db/database.ts'
import { type ResultKey, readResults, type Search } from '../../db/search.ts'
import { locateMetadata } from '../../db/search-metadata.ts'
import type { DicomJson } from '../dicom/json-to-xml.ts'
import type { Store } from '../store/store.ts'
import { datasetJson } from './dataset-json.ts'
import type { Field } from './fields.ts'
import { readFields } from './metadata-fields.ts'
import type { Patience } from './patience.ts'

/** Results that are held at once: in text some 700 bytes each; with fields, metadata of some KB each. */
const resultsAtOnce = 1000
const resultsWithFieldsAtOnce = 100
/** Metadata that are read at once. */
const readsAtOnce = 8

export interface ResultsAsked {
  search: Pick<Search, 'level' | 'told'>
  fields: readonly Field[]
  /** `https://…/dicom-web/studies` */
  studiesURL: string
}

/**
 * The results with these keys, in their order, a block after the other: members of a JSON array, as text. Memory does
 * not grow with their number, and no connection is held while the client takes a block.
 */
export function resultBlocks(
  keys: ResultKey[],
  asked: ResultsAsked,
  deps: ResultsDeps,
): { blocks: AsyncGenerator<string, void, void>; hasOneBlock: boolean } {
  const atOnce = asked.fields.length === 0 ? resultsAtOnce : resultsWithFieldsAtOnce
  return { blocks: readBlocks(keys, atOnce, asked, deps), hasOneBlock: keys.length <= atOnce }
}

interface ResultsDeps {
  db: Database
  store: Store
  patience: Patience
}

async function* readBlocks(
  keys: ResultKey[],
  atOnce: number,
  { search, fields, studiesURL }: ResultsAsked,
  { db, store, patience }: ResultsDeps,
): AsyncGenerator<string, void, void> {
  for (let at = 0; at < keys.length; at += atOnce) {
    const block = keys.slice(at, at + atOnce)
    if (fields.length === 0) {
      yield await patience.with(readResults(db, search, block, studiesURL))
      continue
    }
    const places = await patience.with(locateMetadata(db, search.level, block))
    const placeOf = new Map(places.map((place) => [place[uids[search.level].name], place]))
    const json = await patience.with(readResults(db, search, block, studiesURL))
    const results = JSON.parse(`[${json}]`) as DicomJson[]
    const texts: string[] = []
    for (let from = 0; from < results.length; from += readsAtOnce) {
      const few = results.slice(from, from + readsAtOnce).map(async (result) => {
        const place = placeOf.get(result[uids[search.level].tag]?.Value?.[0] as string)
        const read = place && (await readFields(fields, place, store, studiesURL))
        return datasetJson({ ...result, ...read })
      })
      texts.push(...(await Promise.all(few)))
    }
    yield texts.join(',')
  }
}

/** What identifies a result. */
const uids = {
  study: { tag: '0020000D', name: 'studyInstanceUID' },
  series: { tag: '0020000E', name: 'seriesInstanceUID' },
  instance: { tag: '00080018', name: 'sopInstanceUID' },
} as const
