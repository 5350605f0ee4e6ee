import type { Database } from '../../db/database.ts'
import { DeletedMeanwhileError } from '../../db/instances.ts'
import {
  findKeys,
  findResults,
  isOnePlan,
  type ResultKey,
  readResults,
  resultsAtOnce,
  type Search,
} from '../../db/search.ts'
import { locateMetadata } from '../../db/search-metadata.ts'
import type { DicomJson } from '../dicom/json-to-xml.ts'
import type { Store } from '../store/store.ts'
import { datasetJson } from './dataset-json.ts'
import type { Field } from './fields.ts'
import { readFields } from './metadata-fields.ts'
import type { Patience } from './patience.ts'

/** With fields, metadata of some KB each are held at once; without, some 700 bytes of text for each result. */
const resultsWithFieldsAtOnce = 100
/** Metadata that are read at once. */
const readsAtOnce = 8

export interface ResultsAsked {
  search: Search
  fields: readonly Field[]
  /** `https://…/dicom-web/studies` */
  studiesURL: string
}

export interface Results {
  count: number
  /** Matches beyond the limit; see `countedBeyond`. */
  beyondCount: number
  /** Members of a JSON array, as text. */
  blocks: AsyncGenerator<string, void, void>
  hasOneBlock: boolean
}

/**
 * Finds results, and reads them a block after the other while they are taken: memory does not grow with their number,
 * and no connection is held while the client takes a block.
 */
export async function beginResults(asked: ResultsAsked, deps: ResultsDeps): Promise<Results> {
  const { search, fields, studiesURL } = asked
  const { db, patience } = deps
  // Nothing is asked of the database for nothing.
  if (search.limit === 0) return { count: 0, beyondCount: 0, blocks: none(), hasOneBlock: true }
  if (fields.length === 0 && isOnePlan(search)) {
    const found = await patience.with(findResults(db, search, studiesURL))
    const { resultCount: count, beyondCount, json } = found
    return { count, beyondCount, blocks: only(json), hasOneBlock: true }
  }
  const { keys, beyondCount } = await patience.with(findKeys(db, search))
  const atOnce = fields.length === 0 ? resultsAtOnce : resultsWithFieldsAtOnce
  return {
    count: keys.length,
    beyondCount,
    blocks: readBlocks(keys, atOnce, asked, deps),
    hasOneBlock: keys.length <= atOnce,
  }
}

async function* none(): AsyncGenerator<string, void, void> {}

async function* only(block: string): AsyncGenerator<string, void, void> {
  yield block
}

interface ResultsDeps {
  db: Database
  store: Store
  patience: Patience
}

async function* readBlocks(
  keys: ResultKey[],
  atOnce: number,
  asked: ResultsAsked,
  deps: ResultsDeps,
): AsyncGenerator<string, void, void> {
  // Of a block only its text is held while the client takes it.
  for (let at = 0; at < keys.length; at += atOnce) {
    yield await readBlock(keys.slice(at, at + atOnce), asked, deps)
  }
}

async function readBlock(
  block: ResultKey[],
  { search, fields, studiesURL }: ResultsAsked,
  { db, store, patience }: ResultsDeps,
): Promise<string> {
  const readRows = () => patience.with(readResults(db, search, block, studiesURL))
  if (fields.length === 0) return readRows()
  const places = await patience.with(locateMetadata(db, search.level, block))
  const placeOf = new Map(places.map((place) => [place[uids[search.level].name], place]))
  const results = JSON.parse(`[${await readRows()}]`) as DicomJson[]
  const texts: string[] = []
  for (let from = 0; from < results.length; from += readsAtOnce) {
    const few = results.slice(from, from + readsAtOnce).map(async (result) => {
      const place = placeOf.get(result[uids[search.level].tag]?.Value?.[0] as string)
      const read = place && (await readFields(fields, place, store, studiesURL).catch(deleted))
      return datasetJson({ ...result, ...read })
    })
    texts.push(...(await Promise.all(few)))
  }
  return texts.join(',')
}

/** What identifies a result. */
const uids = {
  study: { tag: '0020000D', name: 'studyInstanceUID' },
  series: { tag: '0020000E', name: 'seriesInstanceUID' },
  instance: { tag: '00080018', name: 'sopInstanceUID' },
} as const

/** What was deleted since it was found has nothing more to tell. */
function deleted(error: unknown): undefined {
  if (!(error instanceof DeletedMeanwhileError)) throw error
}
