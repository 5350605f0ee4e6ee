/** @jsxImportSource hono/jsx */
import type { Database } from '../../db/database.ts'
import { countedStudies, countStudies, listStudies, type StudyPage } from '../../db/listing.ts'
import { listTransfers, type Transfer } from '../../db/transfers.ts'
import {
  arrivingListed,
  LiveMessage,
  liveRegions,
  type StudyList,
} from '../../web/pages/studies-page.tsx'
import { textOf } from '../../web/respond.tsx'

const studiesOnPage = 50
const endedOnPage = 10

/** The studies of one page of the list, newest first. */
export async function readStudyList(
  db: Database,
  place: Pick<StudyPage, 'before' | 'after'>,
): Promise<StudyList> {
  const [{ studies, hasMore }, counted] = await Promise.all([
    listStudies(db, { limit: studiesOnPage, ...place }),
    countStudies(db),
  ])
  const isForward = place.after !== undefined
  // Too few newer ones to fill a page: then the page that is wanted is the first.
  if (isForward && !hasMore) return readStudyList(db, {})
  return {
    studies,
    total: Math.min(counted, countedStudies),
    isTotalBounded: counted > countedStudies,
    hasNewer: isForward || place.before !== undefined,
    hasOlder: isForward || hasMore,
  }
}

/** Transfers on their way, and the last ones that ended. */
export async function readTransfers(
  db: Database,
): Promise<{ arriving: Transfer[]; ended: Transfer[] }> {
  const [arriving, ended] = await Promise.all([
    listTransfers(db, { states: ['receiving'], limit: arrivingListed + 1 }),
    listTransfers(db, {
      states: ['committed', 'refused', 'aborted', 'expired'],
      limit: endedOnPage,
    }),
  ])
  return { arriving, ended }
}

/** The regions of the first page as they are now, as HTML. */
export async function readLiveRegions(db: Database): Promise<Map<string, string>> {
  const [studies, transfers] = await Promise.all([readStudyList(db, {}), readTransfers(db)])
  const regions = Object.entries(liveRegions({ studies, ...transfers }))
  return new Map(
    regions.map(([id, content]) => [id, textOf(<LiveMessage regions={[{ id, content }]} />)]),
  )
}
