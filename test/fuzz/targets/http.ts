import { Buffer } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { RULES } from '../../../server/access/rules.ts'
import { dicomFile } from '../../support/dicom-file.ts'
import { startServer } from '../../support/server.ts'
import { multipartBody, multipartType, stow } from '../../support/stow.ts'
import type { Target } from '../target.ts'

const uids = { study: '1.2.3', series: '1.2.3.1', instance: '1.2.3.1.1' }
const uid = '1.2.826.0.1.3680043.10.1474.99.1'
/** Bytes of an answer that are read, before its connection is closed. */
const answerBytes = 4 * 2 ** 20

/**
 * A server as a process of its own, with its own Postgres: each route, each parameter.
 *
 * An input is the text of a request: `GET /path?query`, headers, an empty line, a body. Whatever is sent, the server has to
 * answer, with no 500 and nothing in its log that it calls an error.
 */
export async function http(): Promise<Target> {
  const server = await startServer({ env: { STOWAGE_LOG_LEVEL: 'warn' } })
  await stow(`${server.dicomWeb}/studies`, [
    dicomFile({
      studyInstanceUID: uids.study,
      seriesInstanceUID: uids.series,
      sopInstanceUID: uids.instance,
    }),
    dicomFile({
      studyInstanceUID: uids.study,
      seriesInstanceUID: uids.series,
      sopInstanceUID: '1.2.3.1.2',
      numberOfFrames: 3,
      pixelBytes: 3 * 512,
    }),
  ])
  let logged = server.log.length
  let answers = 0
  return {
    isSeen: false,
    maxBytes: 8192,
    seeds: seeds(),
    tokens,
    memoryBytes: () => residentBytes(server.pid),
    cpuMs: () => cpuMs(server.pid),
    end: () => server[Symbol.asyncDispose](),
    async run(input) {
      const { status, body, what } = await send(server.port, input)
      answers++
      const said = server.log.slice(logged)
      logged = server.log.length
      if (/ error /.test(said)) throw new Error(`The log says: ${said.slice(0, 600)}`)
      if (status >= 500 && status !== 503)
        throw new Error(`${what} is answered ${status}: ${body.slice(0, 300)}`)
      if (answers % 200 === 0) {
        const ready = await send(server.port, Buffer.from('GET /readyz'))
        if (ready.status !== 200) throw new Error('The server is not ready any more')
      }
      const { detail = '' } = status < 400 ? {} : (parsed(body) as { detail?: string })
      return `${what.split(' ')[0]} ${status} ${detail.replace(/[\d.]+/g, 'n').slice(0, 80)}`
    },
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

function residentBytes(pid: number): number {
  const [, kilobytes = 0] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}

/** Of a process, in Linux's ticks of 10 ms (proc(5): utime and stime are fields 14 and 15). */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')
  return (Number(fields[13]) + Number(fields[14])) * 10
}

interface Answer {
  status: number
  body: string
  /** Method and the words of the path, for a report. */
  what: string
}

function send(port: number, input: Buffer): Promise<Answer> {
  const text = input.toString('latin1')
  const split = text.indexOf('\n\n')
  const head = split === -1 ? text : text.slice(0, split)
  const body = split === -1 ? '' : text.slice(split + 2)
  const [first = '', ...lines] = head.split('\n')
  const [, given = 'GET', path = '/'] = /^([A-Z]{3,7}) (.*)$/.exec(first) ?? []
  const method = methods.has(given) ? given : 'GET'
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon)).toLowerCase()
    // How long the body is, and where it goes, is not for the input to say: then nobody would answer.
    if (/^[a-z-]{1,40}$/.test(name) && !unsaid.has(name)) {
      headers[name] = line.slice(colon + 1).replace(/[^\t -~\x80-\xff]/g, ' ')
    }
  }
  if (method !== 'GET' && method !== 'HEAD')
    headers['content-length'] = String(Buffer.byteLength(body, 'latin1'))
  const target = `/${path.replace(/^\/+/, '')}`.replace(
    /[^!-~]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
  const what = `${method} ${target
    .split(/[?#]/)[0]
    ?.replace(/[\d.]+/g, 'n')
    .slice(0, 60)}`
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, host: '127.0.0.1', method, path: target, headers, agent: false },
      (answer) => {
        const chunks: Buffer[] = []
        let bytes = 0
        const isEndless = String(answer.headers['content-type']).startsWith('text/event-stream')
        const done = () => {
          sent.destroy()
          resolve({
            status: answer.statusCode as number,
            body: Buffer.concat(chunks).toString('latin1'),
            what,
          })
        }
        if (isEndless) return done()
        answer.on('data', (chunk) => {
          bytes += chunk.length
          if (bytes < 65_536) chunks.push(chunk)
          if (bytes > answerBytes) done()
        })
        answer.on('end', done)
        answer.on('error', () => reject(new Error(`The answer to ${what} breaks off`)))
      },
    )
    sent.on('error', (error) => reject(new Error(`${what} is not answered: ${error.message}`)))
    sent.end(Buffer.from(method === 'GET' || method === 'HEAD' ? '' : body, 'latin1'))
  })
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const unsaid = new Set([
  'content-length',
  'transfer-encoding',
  'host',
  'connection',
  'expect',
  'upgrade',
  'te',
  'trailer',
])
/** What goes on without end, or changes what the others look at. */
const leftOut = /^(GET \/live|POST \/api\/demo|DELETE \/dicom-web|POST \/upload|POST \/login)/

function seeds(): Buffer[] {
  const path = (route: string) =>
    route
      .replace(/\{.+?\}+/g, '')
      .replace(
        /:(\w+)/g,
        (_, name: string) => parameters[name] ?? uids[name as keyof typeof uids] ?? '1',
      )
  const routes = RULES.flatMap((rule) => rule.routes)
    .filter((route) => !leftOut.test(route))
    .map(path)
  const xml = `<NativeDicomModel><DicomAttribute tag="00081199" vr="SQ"><Item number="1"><DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2.3</Value></DicomAttribute></Item></DicomAttribute></NativeDicomModel>`
  const json = `{"00081199":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.2"]},"00081155":{"vr":"UI","Value":["${uids.instance}"]}}]}}`
  const instance = `{"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2"]},"00080018":{"vr":"UI","Value":["${uid}"]},"0020000D":{"vr":"UI","Value":["${uid}.1"]},"0020000E":{"vr":"UI","Value":["${uid}.2"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe^J"}]}}`
  const frames = `/dicom-web/studies/${uids.study}/series/${uids.series}/instances/${uids.instance}`
  const type = (of: string) => `\ncontent-type: ${of}\n\n`
  return [
    ...routes,
    'GET /dicom-web/studies?PatientName=DOE*&StudyDate=20240101-&limit=10&offset=1&includefield=all',
    'GET /dicom-web/instances?fuzzymatching=true&PatientName=doe&NumberOfFrames=1,2&includefield=00081030',
    'GET /dicom-web/series?Modality=CT,MR&StudyTime=10-&TimezoneOffsetFromUTC=%2B0100\naccept: multipart/related; type="application/dicom+xml"',
    `GET ${frames}/frames/1/rendered?window=40,400,linear&viewport=20,20,0,0,5,5&quality=80\naccept: image/png`,
    `GET ${frames}/frames/1,2\naccept: multipart/related; type="application/octet-stream"; transfer-syntax=*`,
    `GET ${frames}\naccept: application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90\nrange: bytes=0-99\nif-match: "a"`,
    `GET ${frames}/metadata\naccept: application/dicom+xml\nif-none-match: W/"x", *`,
    'GET /api/changes?since=0&limit=10&type=stable&level=study',
    'GET /api/transfers?limit=3&state=committed',
    'GET /?q=Doe&from=20240101&state=receiving&page=2&sort=date',
    `POST /dicom-web/commitment-requests/1.2.9${type('application/dicom+json')}${json}`,
    `POST /dicom-web/commitment-requests/1.2.10${type('application/dicom+xml')}${xml}`,
    `POST /dicom-web/studies${type('application/dicom+json')}[${instance}]`,
    `POST /dicom-web/studies/${uid}\nstudy-instance-count: 3\nprefer: handling=lenient${type('application/dicom+json')}[${instance}]`,
    `DELETE /dicom-web/studies/1.2.99${type('application/json')}{"reason":"a","force":true,"allowResend":true}`,
    `PUT /api/studies/${uids.study}/evidence${type('application/json')}{"sopInstanceUIDs":["1.2.3"]}`,
    `PUT /api/studies/${uids.study}/evidence${type('application/json')}{"series":[{"seriesInstanceUID":"1.2","instanceCount":4}]}`,
    `POST /api/webhooks${type('application/json')}{"url":"https://hook.invalid/x","types":["stable"],"levels":null,"paused":true}`,
    `PUT /api/quiet-rules${type('application/json')}{"rules":[{"modality":"CT","quietSeconds":60}]}`,
    `POST /studies/${uids.study}/actions/declare${type('application/x-www-form-urlencoded')}instanceCount=3&reason=x`,
  ]
    .map((seed) => Buffer.from(seed, 'latin1'))
    .concat(
      Buffer.concat([
        Buffer.from(`POST /dicom-web/studies\ncontent-type: ${multipartType}\n\n`),
        multipartBody([dicomFile({ rows: 2, columns: 2 })]),
      ]),
    )
}

const parameters: Record<string, string> = {
  list: '1',
  element: '7FE00010',
  range: '0-9',
  transaction: '1.2.9',
  action: 'settle',
  name: 'reader-1',
  kind: 'refusals',
  reason: '49152',
  transfer: '00000000-0000-4000-8000-000000000000',
  deletion: '1',
}

const tokens = [
  ...[
    '%00',
    '%ED%A0%80',
    '%FF',
    '%27%3B--',
    "' or 1=1--",
    '"',
    '%5C',
    '%',
    '..',
    '%2e%2e%2f',
    '/../',
    '%2F',
  ],
  ...[
    '99999999999999999999',
    '-1',
    '1e9',
    '0x10',
    'NaN',
    'null',
    '9223372036854775808',
    '2147483648',
    '1.2.3',
  ],
  ...[
    '&',
    '=',
    '?',
    ',',
    '*',
    '**',
    '?*?*',
    '.',
    ':',
    ';',
    '&limit=',
    '&offset=',
    '&includefield=',
    '&since=',
  ],
  ...[
    '&PatientName=',
    '&StudyDate=',
    '&StudyInstanceUID=',
    '&ModalitiesInStudy=',
    '&fuzzymatching=true',
    '&accept=',
  ],
  ...[
    '&before=',
    '&charset=',
    '&type=',
    '&level=',
    '&viewport=',
    '&window=',
    '&quality=',
    '&q=',
    '&page=',
    '&state=',
  ],
  ...[
    'constructor',
    '__proto__',
    'toString',
    '{"__proto__":',
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\u0000',
    '\\ud800',
    'true',
  ],
  ...[
    '\naccept: ',
    '\nrange: bytes=',
    '\nif-none-match: ',
    '\nif-match: ',
    '\ncontent-type: ',
    '\ncookie: ',
    '\nprefer: ',
  ],
  ...[
    '\ncontent-encoding: gzip',
    '\nhx-request: true',
    '\naccept-charset: ',
    '\nlast-event-id: ',
    '\norigin: null',
  ],
  ...[
    '\nrepr-digest: sha-256=:',
    '\nx-http-method-override: DELETE',
    '\nauthorization: Bearer ',
    '\n\n',
    'x'.repeat(300),
  ],
  ...[
    'multipart/related; type="application/dicom"',
    'application/dicom+json',
    'application/dicom+xml',
    'image/jpeg',
  ],
  ...[
    'text/html',
    'image/gif',
    'video/mp4',
    '; transfer-syntax=',
    '; q=0',
    '<script>',
    'GET ',
    'PUT ',
    'POST ',
    'PATCH ',
  ],
]
