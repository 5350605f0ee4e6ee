import type { Database } from '../../db/database.ts'
import { DeletedMeanwhileError } from '../../db/instances.ts'
import {
  type Found,
  findKeys,
  findResultsOfStudy,
  readResults,
  type Search,
} from '../../db/search.ts'
import { locateMetadata } from '../../db/search-metadata.ts'
import type { DicomJson } from '../dicom/json-to-xml.ts'
import type { Store } from '../store/store.ts'
import { datasetJson } from './dataset-json.ts'
import type { Field } from './fields.ts'
import type { KeptStudies } from './kept-studies.ts'
import { readFields } from './metadata-fields.ts'
import type { Patience } from './patience.ts'

/** Results that are read at once: some 700 bytes of text for each. */
const resultsAtOnce = 1000
/** With fields, metadata of some KB each are held at once. */
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
  if (isFirstOfStudy(search) && fields.length === 0) {
    const found = await patience.with(findResultsOfStudy(db, search, studiesURL))
    const { resultCount: count, beyondCount, json } = found
    return { count, beyondCount, blocks: only(json), hasOneBlock: true }
  }
  const found = await patience.with(findKeys(db, search))
  const { keys, beyondCount } = found
  const atOnce = fields.length === 0 ? resultsAtOnce : resultsWithFieldsAtOnce
  return {
    count: keys.length,
    beyondCount,
    blocks: readBlocks(found, atOnce, asked, deps),
    hasOneBlock: keys.length <= atOnce,
  }
}

/** All that a study, or a series of it, has, from the first on. */
function isFirstOfStudy(
  search: Search,
): search is Search & Parameters<typeof findResultsOfStudy>[1] {
  const { level, studyInstanceUID, conditions, offset, limit } = search
  const isWithin = level !== 'study' && studyInstanceUID !== undefined
  return isWithin && conditions.length === 0 && offset === 0 && limit <= resultsAtOnce
}

async function* none(): AsyncGenerator<string, void, void> {}

async function* only(block: string): AsyncGenerator<string, void, void> {
  yield block
}

export interface ResultsDeps {
  db: Database
  kept: KeptStudies
  store: Store
  patience: Patience
}

type Block = Pick<Found, 'keys' | 'versions'>

async function* readBlocks(
  { keys, versions }: Block,
  atOnce: number,
  asked: ResultsAsked,
  deps: ResultsDeps,
): AsyncGenerator<string, void, void> {
  // Of a block only its text is held while the client takes it.
  for (let at = 0; at < keys.length; at += atOnce) {
    const to = at + atOnce
    yield await readBlock(
      { keys: keys.slice(at, to), versions: versions.slice(at, to) },
      asked,
      deps,
    )
  }
}

async function readBlock(
  { keys, versions }: Block,
  asked: ResultsAsked,
  { db, store, patience, kept }: ResultsDeps,
): Promise<string> {
  const { search, fields, studiesURL } = asked
  const readRows = async () =>
    search.level === 'study'
      ? (await kept.read(keys, versions, asked, { db, patience })).join(',')
      : patience.with(readResults(db, search, keys, studiesURL))
  if (fields.length === 0) return readRows()
  const places = await patience.with(locateMetadata(db, search.level, keys))
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
