import { Buffer } from 'node:buffer'
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

/** Members of a JSON array, as text. */
type Block = string

export interface Results {
  count: number
  /** Matches beyond the limit; see `countedBeyond`. */
  beyondCount: number
  first: Block
  /** All of it, where the first block is all there is. */
  json: Uint8Array<ArrayBuffer> | undefined
  /** The other blocks. */
  rest(patience: Patience): AsyncGenerator<Block, void, void>
}

/**
 * Finds results, and reads the first block of them; the others one after the other while they are taken: memory does not grow
 * with their number, and no connection is held while the client takes a block.
 */
export async function beginResults(
  asked: ResultsAsked,
  deps: ResultsDeps,
  patience: Patience,
): Promise<Results> {
  const { search, fields, studiesURL } = asked
  const { db } = deps
  // Nothing is asked of the database for nothing.
  if (search.limit === 0) return whole({ count: 0, beyondCount: 0, first: '' })
  if (isFirstOfStudy(search) && fields.length === 0) {
    const found = await patience.with(findResultsOfStudy(db, search, studiesURL))
    const { resultCount: count, beyondCount, json: first } = found
    return whole({ count, beyondCount, first })
  }
  const { keys, versions, beyondCount } = await patience.with(findKeys(db, search))
  const atOnce = fields.length === 0 ? resultsAtOnce : resultsWithFieldsAtOnce
  const read = (at: number, waiting: Patience) => {
    const some = { keys: keys.slice(at, at + atOnce), versions: versions.slice(at, at + atOnce) }
    return readBlock(some, asked, deps, waiting)
  }
  const count = keys.length
  const begun = { count, beyondCount, first: count === 0 ? '' : await read(0, patience) }
  if (count <= atOnce) return whole(begun)
  return {
    ...begun,
    json: undefined,
    async *rest(waiting) {
      // Of a block only its text is held while the client takes it.
      for (let at = atOnce; at < count; at += atOnce) yield await read(at, waiting)
    },
  }
}

function whole(begun: Pick<Results, 'count' | 'beyondCount' | 'first'>): Results {
  return { ...begun, json: Buffer.from(`[${begun.first}]`), async *rest() {} }
}

/** All that a study, or a series of it, has, from the first on. */
function isFirstOfStudy(
  search: Search,
): search is Search & Parameters<typeof findResultsOfStudy>[1] {
  const { level, studyInstanceUID, conditions, offset, limit } = search
  const isWithin = level !== 'study' && studyInstanceUID !== undefined
  return isWithin && conditions.length === 0 && offset === 0 && limit <= resultsAtOnce
}

export interface ResultsDeps {
  db: Database
  kept: KeptStudies
  store: Store
}

async function readBlock(
  { keys, versions }: Pick<Found, 'keys' | 'versions'>,
  asked: ResultsAsked,
  { db, store, kept }: ResultsDeps,
  patience: Patience,
): Promise<Block> {
  const { search, fields, studiesURL } = asked
  const readRows = async () =>
    search.level === 'study'
      ? (await kept.read(keys, versions, asked, db, patience)).join(',')
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
