import type { ServerID } from './servers.ts'
import type { SetName } from './sets.ts'

/** One way to send one set. */
export interface Case {
  title: string
  set: SetName
  perRequest: number | 'whole'
  /** Requests at a time. */
  concurrency: number
  isChunked?: boolean
  /** What the rate counts: instances a second, or megabytes a second where one instance is large. */
  unit: 'inst/s' | 'MB/s'
}

export const cases = {
  'small-50-c4': rate('small, 50 a request, 4 at a time', 'small', 50, 4),
  'small-whole': rate('small, the whole study in one request', 'small', 'whole', 1),
  'small-1-c4': rate('small, 1 a request, 4 at a time', 'small', 1, 4),
  'small-1-c32': rate('small, 1 a request, 32 at a time', 'small', 1, 32),
  'ct-50-c4': rate('ct, 50 a request, 4 at a time', 'ct', 50, 4),
  'ct-whole': rate('ct, the whole study in one request', 'ct', 'whole', 1),
  'many-10-c4': rate('many, 10 a request, 4 at a time', 'many', 10, 4),
  'big-1-c1': { ...rate('big, one instance a request', 'big', 1, 1), unit: 'MB/s' },
  'big-chunked': {
    ...rate('big, one instance a request, chunked', 'big', 1, 1),
    unit: 'MB/s',
    isChunked: true,
  },
  'big-1-c3': { ...rate('big, three at once', 'big', 1, 3), unit: 'MB/s' },
} as const satisfies Record<string, Case>

export type CaseID = keyof typeof cases

export const caseIDs = Object.keys(cases) as CaseID[]

/** What Stowage must reach. */
export type Target =
  /** Its rate over that of another server, or of itself in another case; of the same round. */
  | { of: CaseID; over: ServerID | 'itself'; overCase?: CaseID; atLeast: number }
  | { of: CaseID; peakMBAtMost: number }
  /** Its peak over its peak in another case. */
  | { of: CaseID; peakOverCase: CaseID; atMost: number }
  /** The start with a database that is there already. */
  | { startMsAtMost: number }

export const targets: Target[] = [
  { of: 'small-50-c4', over: 'orthanc-a', atLeast: 10 },
  { of: 'small-50-c4', over: 'orthanc-b', atLeast: 20 },
  { of: 'small-whole', over: 'orthanc-a', overCase: 'small-50-c4', atLeast: 12 },
  { of: 'small-1-c4', over: 'orthanc-a', atLeast: 2.5 },
  { of: 'small-1-c4', over: 'onefile', atLeast: 0.8 },
  { of: 'small-1-c32', over: 'orthanc-a', atLeast: 5 },
  { of: 'ct-50-c4', over: 'orthanc-a', atLeast: 3 },
  { of: 'ct-50-c4', over: 'onefile', atLeast: 0.85 },
  { of: 'ct-whole', over: 'orthanc-a', atLeast: 4.5 },
  { of: 'ct-whole', over: 'onefile', atLeast: 0.9 },
  { of: 'many-10-c4', over: 'orthanc-a', atLeast: 6 },
  { of: 'big-1-c1', over: 'orthanc-a', atLeast: 2.6 },
  { of: 'big-1-c1', over: 'onefile', atLeast: 0.9 },
  { of: 'big-chunked', over: 'itself', overCase: 'big-1-c1', atLeast: 0.95 },
  { of: 'big-1-c3', peakMBAtMost: 250 },
  { of: 'big-1-c3', peakOverCase: 'big-1-c1', atMost: 1.25 },
  { startMsAtMost: 2000 },
]

function rate(
  title: string,
  set: SetName,
  perRequest: number | 'whole',
  concurrency: number,
): Case {
  return { title, set, perRequest, concurrency, unit: 'inst/s' }
}
