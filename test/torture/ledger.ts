import { createHash } from 'node:crypto'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import type { SeededRandom } from '../support/random.ts'

/** A study as its sender knows it: what a reader may see of it follows from that, and from nothing else. */
export class SentStudy {
  readonly studyInstanceUID = uniqueUID()
  readonly patientID = `T-${this.studyInstanceUID.split('.').slice(-2).join('-')}`
  /** Instances after each request that was begun, in order: a reader sees one of these numbers. */
  readonly #steps = [0]
  readonly digests: string[] = []
  /** Instances that were acknowledged: all readers see them from then on. */
  acknowledgedCount = 0
  /** `wanted`: somebody is deleting it, and knows nothing yet. */
  deletion: 'none' | 'wanted' | 'done' = 'none'

  /** Files for one more request. */
  next(count: number, pixelBytes: number): Buffer[] {
    const seriesInstanceUID = uniqueUID()
    const { studyInstanceUID, patientID } = this
    const files = Array.from({ length: count }, (_, index) =>
      dicomFile({
        ...{ studyInstanceUID, seriesInstanceUID, patientID, pixelBytes },
        patientName: `Tortured^${patientID}`,
        instanceNumber: index + 1,
      }),
    )
    this.#steps.push((this.#steps.at(-1) as number) + count)
    this.digests.push(...files.map(digestOf))
    return files
  }

  acknowledge(): void {
    this.acknowledgedCount = this.#steps.at(-1) as number
  }

  /** Its last request is given up, and nothing of it may ever be seen. */
  giveUp(): void {
    this.#steps.pop()
    this.digests.length = this.#steps.at(-1) as number
  }

  /** What a reader may see who begins to look now. @returns what is wrong with a count that he found, if anything. */
  expectation(): (count: number) => string | undefined {
    const least = this.deletion === 'none' ? this.acknowledgedCount : 0
    const isGone = this.deletion === 'done'
    return (count) => {
      if (isGone) return count === 0 ? undefined : `${count} instances are seen of a deleted study`
      if (count === 0 && this.deletion !== 'none') return undefined
      if (count < least) return `${count} instances are seen, ${least} were acknowledged`
      if (!this.#steps.includes(count)) return `${count} instances are seen, a part of a request`
      return undefined
    }
  }
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}

/** What happened, counted. */
export class Ledger {
  readonly studies: SentStudy[] = []
  readonly counts = new Map<string, number>()
  /** Sentences about what must not happen. */
  readonly wrongs: string[] = []
  instances = 0
  bytes = 0

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by)
  }

  wrong(what: string): void {
    this.count('wrong')
    if (this.wrongs.length < 50) this.wrongs.push(what)
  }

  /** One of the newest, or any. */
  some(random: SeededRandom): SentStudy | undefined {
    const most = this.studies.length
    const from = random.next() < 0.7 ? Math.max(0, most - 50) : 0
    return this.studies[Math.floor(random.between(from, most))]
  }
}
