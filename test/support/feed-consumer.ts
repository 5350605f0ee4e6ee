/** A change as the feed shows it; see docs/changes.md. */
export interface FeedChange {
  seq: number
  type: string
  level: string
  studyInstanceUID?: string
  seriesInstanceUID?: string
  patientID?: string
  issuerOfPatientID?: string
  at: string
  generation?: number
  instanceCount?: number
  byteLength?: number
  addedInstanceCount?: number
  addedByteLength?: number
  digest?: string
}

interface SeriesCopy {
  studyInstanceUID: string
  instanceCount: number
  byteLength: number
}

/**
 * A consumer that knows nothing but the feed, and keeps from it which studies and series there are and how much
 * is in them.
 *
 * Throws where the feed contradicts itself: a number out of order, a series that nobody announced, a count that
 * is not what was there and what was added.
 */
export class FeedConsumer {
  readonly changes: FeedChange[] = []
  readonly studies = new Set<string>()
  readonly series = new Map<string, SeriesCopy>()
  last = 0

  /** Reads on to the end of the feed, some at a time. @param url Of any server. */
  async readOn(url: string, limit = 1000): Promise<void> {
    for (;;) {
      const answer = await fetch(`${url}/api/changes?since=${this.last}&limit=${limit}`)
      if (answer.status !== 200) throw new Error(`The feed was answered ${answer.status}`)
      const page = (await answer.json()) as { changes: FeedChange[]; last: number; done: boolean }
      for (const change of page.changes) this.take(change)
      this.last = page.last
      if (page.done) return
    }
  }

  take(change: FeedChange): void {
    const { seq, type, level } = change
    if (seq !== this.last + 1) throw new Error(`${seq} came after ${this.last}`)
    this.last = seq
    this.changes.push(change)
    if (type === 'new' && level === 'study') this.studies.add(change.studyInstanceUID as string)
    if (type === 'new' && level === 'series') this.#addSeries(change)
    if (type === 'instances-added') this.#addInstances(change)
    if (type === 'deleted') this.#delete(change)
  }

  #addSeries({ seq, studyInstanceUID = '', seriesInstanceUID = '' }: FeedChange): void {
    if (!this.studies.has(studyInstanceUID)) throw new Error(`${seq}: a series of no study`)
    this.series.set(seriesInstanceUID, { studyInstanceUID, instanceCount: 0, byteLength: 0 })
  }

  #addInstances(change: FeedChange): void {
    const own = this.#seriesOf(change)
    own.instanceCount += change.addedInstanceCount as number
    own.byteLength += change.addedByteLength as number
    if (own.instanceCount !== change.instanceCount) {
      throw new Error(`${change.seq}: there are ${own.instanceCount}, not ${change.instanceCount}`)
    }
  }

  /** Of a study or series: it and all below it. Of an instance: one less, by its `byteLength`. */
  #delete(change: FeedChange): void {
    const { level, studyInstanceUID = '', seriesInstanceUID = '' } = change
    if (level === 'instance') {
      const own = this.#seriesOf(change)
      own.instanceCount -= 1
      own.byteLength -= change.byteLength ?? 0
    } else if (level === 'series') {
      this.series.delete(seriesInstanceUID)
    } else if (level === 'study') {
      this.studies.delete(studyInstanceUID)
      for (const [uid, one] of this.series) {
        if (one.studyInstanceUID === studyInstanceUID) this.series.delete(uid)
      }
    }
  }

  #seriesOf({ seq, seriesInstanceUID = '' }: FeedChange): SeriesCopy {
    const own = this.series.get(seriesInstanceUID)
    if (own === undefined) throw new Error(`${seq}: nobody announced this series`)
    return own
  }

  /** `{study} {series of it} {instances} {bytes}`, and below it `{series} {instances}`, sorted. */
  get lines(): string[] {
    const lines: string[] = []
    for (const study of this.studies) {
      const own = [...this.series.values()].filter((one) => one.studyInstanceUID === study)
      const instances = own.reduce((sum, one) => sum + one.instanceCount, 0)
      const bytes = own.reduce((sum, one) => sum + one.byteLength, 0)
      lines.push(`${study} ${own.length} ${instances} ${bytes}`)
    }
    for (const [uid, { instanceCount }] of this.series) lines.push(`${uid} ${instanceCount}`)
    return lines.sort()
  }
}

/** What QIDO-RS says, in the form of `FeedConsumer.lines`; the bytes are from `/api/studies`. */
export async function linesOfSearch(server: { url: string; dicomWeb: string }): Promise<string[]> {
  const lines: string[] = []
  for await (const one of searchAll(`${server.dicomWeb}/studies`)) {
    const study = firstValue(one, '0020000D')
    const answer = await fetch(`${server.url}/api/studies/${study}`)
    const { byteLength } = (await answer.json()) as { byteLength: number }
    lines.push(
      [study, firstValue(one, '00201206'), firstValue(one, '00201208'), byteLength].join(' '),
    )
  }
  for await (const one of searchAll(`${server.dicomWeb}/series`)) {
    lines.push([firstValue(one, '0020000E'), firstValue(one, '00201209')].join(' '))
  }
  return lines.sort()
}

type DataSet = Record<string, { Value?: unknown[] }>

async function* searchAll(url: string): AsyncGenerator<DataSet> {
  const limit = 100
  for (let offset = 0; ; offset += limit) {
    const answer = await fetch(`${url}?limit=${limit}&offset=${offset}`)
    const found = answer.status === 204 ? [] : ((await answer.json()) as DataSet[])
    yield* found
    if (found.length < limit) return
  }
}

function firstValue(dataSet: DataSet, tag: string): unknown {
  return dataSet[tag]?.Value?.[0]
}
