import type { FeedChange } from './feed-consumer.ts'

/** What a feed says of one patient, study or series until now. */
interface Told {
  /** Of its last stable event; 0 before the first. */
  generation: number
  isStable: boolean
  instanceCount: number
  lastAddedAt: number
}

/**
 * Goes through a whole feed and says what is wrong with its stable events: one for each generation of each patient,
 * study and series, numbered from 1, none before its quiet time, with the count of what came before it, and
 * at the end everything is stable.
 */
export function faultsOfStableEvents(changes: FeedChange[], quietMs: number): string[] {
  const faults: string[] = []
  const told = new Map<string, Told>()
  const of = (key: string) => {
    const one = told.get(key) ?? {
      generation: 0,
      isStable: false,
      instanceCount: 0,
      lastAddedAt: 0,
    }
    told.set(key, one)
    return one
  }
  for (const change of changes) {
    const { seq, type, level, generation = 0 } = change
    const fault = (what: string) => faults.push(`${seq} ${type} ${level} ${generation}: ${what}`)
    if (type === 'instances-added') {
      for (const key of keysOf(change)) {
        const one = of(key)
        if (one.isStable) fault(`${key} is stable and was not reopened`)
        one.instanceCount += change.addedInstanceCount as number
        one.lastAddedAt = Math.max(one.lastAddedAt, Date.parse(change.at))
      }
    }
    if (type !== 'stable' && type !== 'reopened') continue
    const one = of(keyOf(change))
    if (generation !== one.generation + 1) fault(`comes after ${one.generation}`)
    if (type === 'reopened') {
      if (!one.isStable) fault('was not stable')
      one.isStable = false
      continue
    }
    if (one.isStable) fault('is stable already')
    if (change.instanceCount !== one.instanceCount) {
      fault(`says ${change.instanceCount} of ${one.instanceCount} instances`)
    }
    const waitedMs = Date.parse(change.at) - one.lastAddedAt
    if (waitedMs < quietMs) fault(`after ${waitedMs} ms`)
    one.generation = generation
    one.isStable = true
  }
  for (const [key, { isStable }] of told) if (!isStable) faults.push(`${key} was never stable`)
  return faults
}

function keyOf(change: FeedChange): string {
  const { level, seriesInstanceUID, studyInstanceUID, patientID } = change
  const uids: Record<string, string | undefined> = {
    series: seriesInstanceUID,
    study: studyInstanceUID,
    patient: patientID,
  }
  return `${level} ${uids[level]}`
}

function keysOf(change: FeedChange): string[] {
  return ['series', 'study', 'patient'].map((level) => keyOf({ ...change, level }))
}
