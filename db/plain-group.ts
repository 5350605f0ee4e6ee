import { isInside } from './commit-when.ts'
import type { Database } from './database.ts'
import type { GroupCommit, GroupedInstance } from './groups.ts'

/**
 * What `commit_plain_group` is told of a group: a column for each parameter, side by side for each kind of thing. (Decision 9
 * says what that saves.)
 */
class PlainGroup {
  readonly studies = {
    uids: texts(),
    says: optionalTexts(),
    series: numbers(),
    instances: numbers(),
    bytes: numbers(),
  }
  readonly series = {
    uids: texts(),
    /** From 1, as arrays of Postgres count. */
    studies: numbers(),
    says: optionalTexts(),
    senders: optionalTexts(),
    instances: numbers(),
    bytes: numbers(),
  }
  readonly instances = {
    uids: texts(),
    /** From 1. */
    series: numbers(),
    offsets: numbers(),
    bytes: numbers(),
    metadataBytes: numbers(),
    digests: texts(),
    sopClassUIDs: texts(),
    transferSyntaxUIDs: texts(),
    numbers: optionalTexts(),
    frames: optionalNumbers(),
    rows: optionalNumbers(),
    columns: optionalNumbers(),
    bits: optionalNumbers(),
  }
  readonly #studyNumbers = new Map<string, number>()
  readonly #seriesNumbers = new Map<string, number>()

  /** @returns whether it says of its study and series nothing, or what others of the group said of them, as they did. */
  add(row: GroupedInstance, sender: string | undefined): boolean {
    const { studies, series } = this
    const study = this.#studyNumbers.get(row.study_instance_uid) ?? this.#addStudy(row)
    const number = this.#seriesNumbers.get(row.series_instance_uid) ?? this.#addSeries(row, study)
    if (series.studies[number - 1] !== study) return false
    if (!isAgreed(studies.says, study, row.study)) return false
    if (!isAgreed(series.says, number, row.series)) return false
    // Of two members that bring the same series, the later one's sender counts.
    series.senders[number - 1] = sender ?? null
    count(studies, study, row.byte_length)
    count(series, number, row.byte_length)
    this.#addInstance(row, number)
    return true
  }

  /** @returns its number, from 1. */
  #addStudy({ study_instance_uid: uid }: GroupedInstance): number {
    const of = this.studies
    const number = of.uids.push(uid)
    this.#studyNumbers.set(uid, number)
    of.says.push(null)
    of.series.push(0)
    of.instances.push(0)
    of.bytes.push(0)
    return number
  }

  /** @returns its number, from 1. */
  #addSeries({ series_instance_uid: uid }: GroupedInstance, study: number): number {
    const of = this.series
    const number = of.uids.push(uid)
    this.#seriesNumbers.set(uid, number)
    of.studies.push(study)
    of.says.push(null)
    of.senders.push(null)
    of.instances.push(0)
    of.bytes.push(0)
    this.studies.series[study - 1] = (this.studies.series[study - 1] as number) + 1
    return number
  }

  #addInstance(row: GroupedInstance, series: number): void {
    const of = this.instances
    of.uids.push(row.sop_instance_uid)
    of.series.push(series)
    of.offsets.push(row.segment_offset)
    of.bytes.push(row.byte_length)
    of.metadataBytes.push(row.metadata_length)
    of.digests.push(row.digest)
    of.sopClassUIDs.push(row.sop_class_uid)
    of.transferSyntaxUIDs.push(row.transfer_syntax_uid)
    const { InstanceNumber, NumberOfFrames, Rows, Columns, BitsAllocated } = row.instance
    of.numbers.push((InstanceNumber as string | undefined) ?? null)
    of.frames.push((NumberOfFrames as number | undefined) ?? null)
    of.rows.push((Rows as number | undefined) ?? null)
    of.columns.push((Columns as number | undefined) ?? null)
    of.bits.push((BitsAllocated as number | undefined) ?? null)
  }
}

/** @returns undefined where it can be seen already that a group is none for `commit_plain_group`. */
export function plainGroupOf(group: GroupCommit): PlainGroup | undefined {
  if (group.segment === undefined) return undefined
  for (const { declaredInstanceCount, refused, warned } of group.members) {
    if (declaredInstanceCount !== undefined || refused.length > 0 || warned.length > 0) {
      return undefined
    }
  }
  const plain = new PlainGroup()
  for (const row of group.instances) {
    if (row.evidence !== undefined) return undefined
    if (!plain.add(row, group.members[row.member]?.sender)) return undefined
  }
  return plain
}

/** Makes the statement that commits it. Its row says `is_plain`: false, and nothing is done, where the database knows better. */
export function plainCommit(
  sql: Database['sql'],
  { serverID, segment, members }: GroupCommit,
  { studies, series, instances }: PlainGroup,
) {
  // The OIDs of their types, which are the same in every Postgres.
  const text = (values: (string | null)[]) => sql.array(values, 25)
  const uuid = (values: string[]) => sql.array(values, 2950)
  const integer = (values: (number | null)[]) => sql.array(values, 23)
  const bigint = (values: (number | null)[]) => sql.array(values, 20)
  const double = (values: number[]) => sql.array(values, 701)
  return sql`
    select
      commit_plain_group(
        ${serverID}, ${segment?.segmentID ?? null}, ${segment?.byteLength ?? null},
        ${text(studies.uids)}, ${text(studies.says)}, ${integer(studies.series)}, ${bigint(studies.instances)},
        ${bigint(studies.bytes)},
        ${text(series.uids)}, ${integer(series.studies)}, ${text(series.says)}, ${text(series.senders)},
        ${bigint(series.instances)}, ${bigint(series.bytes)},
        ${text(instances.uids)}, ${integer(instances.series)}, ${bigint(instances.offsets)}, ${bigint(instances.bytes)},
        ${integer(instances.metadataBytes)}, ${text(instances.digests)}, ${text(instances.sopClassUIDs)},
        ${text(instances.transferSyntaxUIDs)}, ${text(instances.numbers)}, ${integer(instances.frames)},
        ${integer(instances.rows)}, ${integer(instances.columns)}, ${integer(instances.bits)},
        ${uuid(members.map((one) => one.transferID))}, ${text(members.map((one) => one.service))},
        ${text(members.map((one) => one.handling))},
        ${text(members.map((one) => one.sender ?? null))}, ${text(members.map((one) => one.senderProduct ?? null))},
        ${text(members.map((one) => one.sentBy ?? null))}, ${text(members.map((one) => one.studyInstanceUID ?? null))},
        ${bigint(members.map((one) => one.announcedBytes ?? null))}, ${double(members.map((one) => one.ageMs))},
        ${bigint(members.map((one) => one.receivedBytes))}, ${integer(members.map((one) => one.partCount))},
        ${integer(members.map((one) => one.storedCount))}, ${integer(members.map((one) => one.duplicateCount))}
      ) as is_plain
    where ${isInside(sql)}`
}

function count(of: { instances: number[]; bytes: number[] }, number: number, bytes: number): void {
  of.instances[number - 1] = (of.instances[number - 1] as number) + 1
  of.bytes[number - 1] = (of.bytes[number - 1] as number) + bytes
}

function isAgreed(
  says: (string | null)[],
  number: number,
  attributes: Record<string, unknown> | undefined,
): boolean {
  if (attributes === undefined) return true
  const text = JSON.stringify(attributes)
  const before = says[number - 1]
  says[number - 1] = text
  return before === null || before === text
}

const texts = (): string[] => []
const optionalTexts = (): (string | null)[] => []
const numbers = (): number[] => []
const optionalNumbers = (): (number | null)[] => []
