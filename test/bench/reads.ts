/** What a server holds while it is asked. */
export interface Filled {
  /** `http://…/studies` */
  studiesURL: string
  /** The study of 600 instances, 317 MB. */
  study: string
  /** `{study}/series/{series}/instances/{instance}` of other studies, of 85 KB each. */
  instancePaths: string[]
}

/** One thing that is asked for, over and over. */
export interface Read {
  title: string
  /** What the rate counts. */
  unit: 'requests' | 'MB'
  headers: Record<string, string>
  /** Asked for in turn. */
  urls(filled: Filled): string[]
  /** How many results a search has to have. */
  results?: number
  /** Clients at a time. */
  clients: readonly number[]
  /** What the rate has to be of the peer's that it is held against. */
  target?: { peer: 'orthanc' | 'file'; times: number }
}

const json = { accept: 'application/dicom+json' }
const file = { accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' }
const frame = { accept: 'multipart/related; type="application/octet-stream"' }

/** A search for studies. (Orthanc does not decode %5E.) */
function search(title: string, query: string, results: number, times?: number): Read {
  return {
    title,
    unit: 'requests',
    headers: json,
    urls: ({ studiesURL }) => [`${studiesURL}${query}`],
    results,
    clients: [1, 8],
    ...(times === undefined ? {} : { target: { peer: 'orthanc', times } }),
  }
}

/** All that is measured. The targets against Orthanc are for a new one (1.13); Debian's is slower. */
export const reads: readonly Read[] = [
  search('studies?limit=50', '?limit=50', 50, 20),
  search('beginning of a name', '?PatientName=Bench^Adler*&limit=50', 39, 10),
  search('name', '?PatientName=Bench^Adler^00000008', 1),
  search('period', '?StudyDate=20210101-20221231&limit=50', 50),
  search('Patient ID', '?PatientID=many-00000007', 1),
  {
    title: 'instances of 600',
    unit: 'requests',
    headers: json,
    urls: ({ studiesURL, study }) => [`${studiesURL}/${study}/instances`],
    results: 600,
    clients: [1, 8],
    target: { peer: 'orthanc', times: 50 },
  },
  metadata('metadata of 600', json, 4),
  metadata('metadata of 600, gzip', { ...json, 'accept-encoding': 'gzip' }, 10),
  {
    title: 'retrieve 317 MB',
    unit: 'MB',
    headers: file,
    urls: ({ studiesURL, study }) => [`${studiesURL}/${study}`],
    clients: [1],
    target: { peer: 'file', times: 0.9 },
  },
  {
    title: 'single instances',
    unit: 'requests',
    headers: file,
    urls: ({ studiesURL, instancePaths }) => instancePaths.map((path) => `${studiesURL}/${path}`),
    clients: [1, 8],
    target: { peer: 'orthanc', times: 4 },
  },
  {
    title: 'frames',
    unit: 'requests',
    headers: frame,
    urls: ({ studiesURL, instancePaths }) =>
      instancePaths.map((path) => `${studiesURL}/${path}/frames/1`),
    clients: [1, 8],
  },
]

function metadata(title: string, headers: Record<string, string>, times: number): Read {
  return {
    title,
    unit: 'requests',
    headers,
    urls: ({ studiesURL, study }) => [`${studiesURL}/${study}/metadata`],
    clients: [1, 8],
    target: { peer: 'orthanc', times },
  }
}
