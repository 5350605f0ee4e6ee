/** One method of one resource, and what it takes and answers. */
export interface Capability {
  method: string
  /** `/studies/{study}/series` */
  path: string
  /** Media types of the request body; empty where there is none. */
  takes: readonly string[]
  /** Media types of an answer that succeeds. */
  answers: readonly string[]
}

const dicom = 'multipart/related; type="application/dicom"'
const octets = 'multipart/related; type="application/octet-stream"'
const json = 'application/dicom+json'
const xml = 'application/dicom+xml'
const multipartXML = 'multipart/related; type="application/dicom+xml"'

/** What is said of each kind of resource; the first line that fits counts. What a face can do beyond it is not told. */
const representations: [method: string, path: RegExp, takes: string[], answers: string[]][] = [
  [
    'POST',
    /^\/studies(\/\{study\})?$/,
    [
      dicom,
      'application/dicom',
      'multipart/related; type="application/dicom+json"',
      multipartXML,
      json,
      xml,
    ],
    [json, xml, multipartXML],
  ],
  ['DELETE', /^\/studies\//, ['application/json'], ['application/json']],
  ['POST', /^\/commitment-requests\//, [json, xml], [json, xml]],
  ['GET', /^\/commitment-requests\//, [], [json, xml]],
  ['GET', /\/metadata$/, [], [json, multipartXML]],
  ['GET', /\/(bulkdata|pixeldata)$|\/bulkdata\/|\/frames\/\{list\}$/, [], [octets]],
  ['GET', /\/rendered$/, [], ['image/jpeg', 'image/png']],
  ['GET', /\/thumbnail$/, [], ['image/jpeg']],
  ['GET', /\/instances\/\{instance\}$/, [], [dicom, 'application/dicom']],
  ['GET', /\/series\/\{series\}$|^\/studies\/\{study\}$/, [], [dicom]],
  ['GET', /^\/(.*\/)?(studies|series|instances)$/, [], [json, multipartXML]],
]

/**
 * What the service offers, by its own routes: so it names no resource that is not there, and leaves out none.
 *
 * @param routes Of the service, with paths like `/studies/:study`.
 */
export function capabilitiesOf(routes: readonly { method: string; path: string }[]): Capability[] {
  const found = new Map<string, Capability>()
  for (const { method, path: route } of routes) {
    if (method === 'ALL') continue
    const path = route.replace(/:(\w+)(\{[^}]*\})?/g, '{$1}')
    const known = representations.find(([name, pattern]) => name === method && pattern.test(path))
    found.set(`${method} ${path}`, {
      method,
      path,
      takes: known?.[2] ?? [],
      answers: known?.[3] ?? [],
    })
  }
  return [...found.values()]
}
