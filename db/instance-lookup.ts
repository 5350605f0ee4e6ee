import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from './database.ts'
import { Gathering } from './gathering.ts'
import {
  type Instance,
  type InstanceColumns,
  type InstanceKeys,
  instanceColumns,
  instanceOf,
} from './instances.ts'
import type { Fragment } from './search-conditions.ts'

/** Milliseconds for which a study is taken to be as Postgres said, from before it was asked. */
const believedMs = 10

/**
 * Ends when no server takes any more to be true what it knew when it was called, so that what was seen to be deleted can be said to be.
 * (A timer may be early by a millisecond.)
 */
export function disbelief(): Promise<void> {
  return sleep(believedMs + 3)
}

/** Instances that are kept, of all studies: some 10 MB. */
const keptAtMost = 10_000
/** Of one series that are read ahead. */
const aheadAtMost = 1000
/** Who asked for so many of a series is likely to want the others, too. */
const askedBeforeAhead = 3
/** Milliseconds since it was read last, for a study to be asked about together with others; and how many are at most. */
const latelyMs = 1000
const latelyAtMost = 100

/** An instance, and the version of its study that it was seen in. */
interface Seen {
  version: string
  isDamaged: boolean
  instance: Instance
}

interface KnownStudy {
  /** Of its row: whatever is done to an instance (deleted, damaged, healed, committed) changes a count there, in the same transaction. */
  version: string
  /** When Postgres was asked that last said so; as `performance.now()`. */
  askedAt: number
  /** When somebody read of it last; as `performance.now()`. */
  usedAt: number
  instances: Map<string, Instance>
  /** By series key: how many were asked for one by one. */
  askedOf: Map<number, number>
}

/**
 * Finds single instances for who reads them: viewers ask for one after another of a series, thousands in a minute.
 *
 * What was found is kept, and the rest of a series read ahead, with the version of the study's row. It is used again as long
 * as the row has that version, about which Postgres is asked once in `believedMs`, for all studies that are being read, and
 * not once an instance. Who is about to say that something was deleted waits longer than that (`disbelief`), and so nobody
 * is given what was said to be deleted, whichever server he asks. What is damaged is not kept: it may be healed at any
 * moment, and lies elsewhere then. (docs/decisions/0030-reads-believe-for-a-moment.md)
 *
 * Eight readers of instances of 85 KB get 4,100 a second; with a statement for each, gathered, they got 1,900 to 2,400.
 */
export class InstanceLookup {
  readonly #db: Database
  readonly #studies = new Map<string, KnownStudy>()
  readonly #lately = new Map<string, KnownStudy>()
  #kept = 0
  readonly #instances: Gathering<InstanceKeys, Seen | undefined>
  readonly #versions: Gathering<string, undefined>

  constructor(db: Database) {
    this.#db = db
    this.#instances = new Gathering((all) => instancesAt(db, all))
    this.#versions = new Gathering((all) => this.#askAbout(all))
  }

  /** Instances that it knows of now. */
  get keptCount(): number {
    return this.#kept
  }

  /** Undefined: it is not in the archive, or not in that study and series. */
  async find(keys: InstanceKeys): Promise<Instance | undefined> {
    const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = keys
    const study = this.#studies.get(studyInstanceUID)
    const known = study?.instances.get(sopInstanceUID)
    if (study !== undefined && known?.seriesInstanceUID === seriesInstanceUID) {
      if (await this.#isAsItWas(study, studyInstanceUID)) return known
    }
    return this.#ask(keys)
  }

  async #isAsItWas(study: KnownStudy, studyInstanceUID: string): Promise<boolean> {
    const now = performance.now()
    study.usedAt = now
    if (now - study.askedAt < believedMs) return true
    if (this.#lately.size < latelyAtMost) this.#lately.set(studyInstanceUID, study)
    await this.#versions.get(studyInstanceUID)
    return study.askedAt >= now
  }

  /** Asks about these studies, and about all that were read lately. */
  async #askAbout(studyInstanceUIDs: string[]): Promise<undefined[]> {
    const askedAt = performance.now()
    const asked = new Map<string, KnownStudy | undefined>(this.#lately)
    for (const uid of studyInstanceUIDs) asked.set(uid, this.#studies.get(uid))
    const versions = await versionsOf(this.#db, [...asked.keys()])
    for (const [uid, study] of asked) {
      if (study === undefined) continue
      if (study.version !== versions.get(uid)) this.#forget(uid, study)
      else study.askedAt = Math.max(study.askedAt, askedAt)
      if (askedAt - study.usedAt > latelyMs) this.#lately.delete(uid)
    }
    return studyInstanceUIDs.map(() => undefined)
  }

  async #ask(keys: InstanceKeys): Promise<Instance | undefined> {
    const askedAt = performance.now()
    const seen = await this.#instances.get(keys)
    if (seen === undefined) return undefined
    const { instance } = seen
    const study = this.#keep(keys.studyInstanceUID, askedAt, [seen])
    const { seriesKey } = instance
    const count = (study.askedOf.get(seriesKey) ?? 0) + 1
    study.askedOf.set(seriesKey, count)
    if (count === askedBeforeAhead) void this.#readAhead(keys.studyInstanceUID, seriesKey)
    return study.instances.get(instance.sopInstanceUID) ?? instance
  }

  async #readAhead(studyInstanceUID: string, seriesKey: number): Promise<void> {
    const askedAt = performance.now()
    // Where it fails, whoever wants one of them asks himself, and hears why.
    const seen = await instancesOfSeries(this.#db, seriesKey).catch(() => [])
    if (seen.length > 0) this.#keep(studyInstanceUID, askedAt, seen)
  }

  /** @param seen Of one study, by one statement. */
  #keep(studyInstanceUID: string, askedAt: number, seen: readonly Seen[]): KnownStudy {
    const version = seen[0]?.version as string
    let study = this.#studies.get(studyInstanceUID)
    if (study !== undefined) this.#forget(studyInstanceUID, study)
    if (study?.version !== version) {
      study = { version, askedAt, usedAt: askedAt, instances: new Map(), askedOf: new Map() }
    }
    for (const { instance, isDamaged } of seen) {
      // The same object as long as it is the same: others keep by it what they found out.
      if (isDamaged || study.instances.has(instance.sopInstanceUID)) continue
      study.instances.set(instance.sopInstanceUID, instance)
    }
    for (const oldest of study.instances.keys()) {
      if (study.instances.size <= keptAtMost) break
      study.instances.delete(oldest)
    }
    study.askedAt = Math.max(study.askedAt, askedAt)
    this.#studies.set(studyInstanceUID, study)
    this.#kept += study.instances.size
    // The study goes first that was longest not added to.
    for (const [uid, other] of this.#studies) {
      if (this.#kept <= keptAtMost || other === study) break
      this.#forget(uid, other)
    }
    return study
  }

  #forget(studyInstanceUID: string, study: KnownStudy): void {
    if (this.#lately.get(studyInstanceUID) === study) this.#lately.delete(studyInstanceUID)
    if (this.#studies.get(studyInstanceUID) !== study) return
    this.#studies.delete(studyInstanceUID)
    this.#kept -= study.instances.size
  }
}

/**
 * By a statement that stays prepared, with its plan: to plan it takes several times as long as to run it. The limit says
 * nothing new; without it Postgres plans for ten rows, finds that too dear for one, and plans each time again.
 */
async function instancesAt(db: Database, keys: InstanceKeys[]): Promise<(Seen | undefined)[]> {
  const uids = [...new Set(keys.map(({ sopInstanceUID }) => sopInstanceUID))]
  const seen = await seenBy(db, {
    where: db.sql`i.sop_instance_uid = any(${uids}::text[])`,
    limit: uids.length,
  })
  const found = new Map(seen.map((one) => [one.instance.sopInstanceUID, one]))
  return keys.map(({ studyInstanceUID, seriesInstanceUID, sopInstanceUID }) => {
    const one = found.get(sopInstanceUID)
    // It may be of another study than the path says.
    if (one?.instance.studyInstanceUID !== studyInstanceUID) return undefined
    return one.instance.seriesInstanceUID === seriesInstanceUID ? one : undefined
  })
}

function instancesOfSeries(db: Database, seriesKey: number): Promise<Seen[]> {
  return seenBy(db, { where: db.sql`i.series_key = ${seriesKey}`, limit: aheadAtMost })
}

interface Wanted {
  where: Fragment
  limit: number
}

async function seenBy(db: Database, { where, limit }: Wanted): Promise<Seen[]> {
  const { sql } = db
  const rows = await sql<(InstanceColumns & Omit<Seen, 'instance'>)[]>`
    select ${instanceColumns(sql)}, t.xmin as version, i.damaged_at is not null as "isDamaged"
    from instances i
    join series e on e.series_key = i.series_key
    join studies t on t.study_key = e.study_key
    join segments g on g.segment_key = i.segment_key
    where ${where}
    limit ${limit}`
  return rows.map(({ version, isDamaged, ...row }) => {
    // In memory of its own, for a small buffer keeps a page of others alive.
    const instance = instanceOf(db, { ...row, digest: new Uint8Array(row.digest) })
    return { version, isDamaged, instance }
  })
}

/** What the rows of these studies were last written by. */
async function versionsOf({ sql }: Database, uids: string[]): Promise<Map<string, string>> {
  const rows = await sql<{ uid: string; version: string }[]>`
    select study_instance_uid as uid, xmin as version
    from studies
    where study_instance_uid = any(${uids}::text[])
    limit ${uids.length}`
  return new Map(rows.map(({ uid, version }) => [uid, version]))
}
