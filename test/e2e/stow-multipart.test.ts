import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type StowageServer, startServer } from '../support/server.ts'
import { boundary, multipartBody, multipartType } from '../support/stow.ts'
import {
  canary,
  expectNoPatientData,
  expectProblem,
  leftBehindBy,
  Sender,
  segmentsOf,
  storedIn,
} from './dicomweb.ts'

let server: StowageServer
let sender: Sender
const newStudy = () => sender.newStudy()
const send = (...given: Parameters<Sender['send']>) => sender.send(...given)
const post = (...given: Parameters<Sender['post']>) => sender.post(...given)

beforeAll(async () => {
  server = await startServer({ env: { STOWAGE_LOG_LEVEL: 'debug' } })
  sender = new Sender(server)
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

describe('Multipart (RFC 2046 5.1.1; PS3.18 8.6.1.2)', () => {
  type Wrap = (file: Buffer) => Uint8Array
  const related = 'multipart/related; type="application/dicom"'
  const plain = `${related}; boundary=${boundary}`
  const part = (headers: string, file: Uint8Array, delimiter = boundary): Buffer =>
    Buffer.concat([Buffer.from(`--${delimiter}\r\n${headers}\r\n`), file])
  const closed = (delimiter = boundary): Buffer => Buffer.from(`\r\n--${delimiter}--\r\n`)
  const dicom = 'Content-Type: application/dicom\r\n'
  const asBoundary =
    (delimiter: string): Wrap =>
    (file) =>
      Buffer.concat([part(dicom, file, delimiter), closed(delimiter)])
  const usual: Wrap = asBoundary(boundary)
  const withPartHeaders =
    (headers: string): Wrap =>
    (file) =>
      Buffer.concat([part(headers, file), closed()])
  const around =
    (before: string, after: string): Wrap =>
    (file) =>
      Buffer.concat([Buffer.from(before), usual(file), Buffer.from(after)])

  const accepted: [id: string, name: string, contentType: string, wrap: Wrap][] = [
    ['MP-01', 'type in quotes', plain, usual],
    [
      'MP-01',
      'type without quotes',
      `multipart/related; type=application/dicom; boundary=${boundary}`,
      usual,
    ],
    [
      'MP-02',
      'names and types in any case',
      `Multipart/RELATED; TYPE="Application/DICOM"; Boundary=${boundary}`,
      usual,
    ],
    [
      'MP-03',
      'parameters in another order, with spaces and tabs',
      `multipart/related ;\t boundary = ${boundary} ;\ttype="application/dicom" ; x=y`,
      usual,
    ],
    [
      'MP-04, OTA-9',
      'a quoted boundary with spaces and all that needs quotes',
      `${related}; boundary="a b:c=d/e?f'g(h)i,j+k"`,
      asBoundary("a b:c=d/e?f'g(h)i,j+k"),
    ],
    [
      'MP-04',
      'a quoted boundary with escapes',
      `${related}; boundary="a\\b\\:c"`,
      asBoundary('ab:c'),
    ],
    [
      'MP-05',
      'an unquoted boundary with = and :',
      `${related}; boundary=a=b:c`,
      asBoundary('a=b:c'),
    ],
    [
      'MP-06, OTA-9',
      'a type with parameters of its own',
      `multipart/related; type="application/dicom; transfer-syntax=1.2.840.10008.1.2.1"; boundary=${boundary}`,
      usual,
    ],
    [
      'MP-07',
      'a boundary of 70 characters',
      `${related}; boundary=${'b'.repeat(70)}`,
      asBoundary('b'.repeat(70)),
    ],
    ['MP-08', 'no type', `multipart/related; boundary=${boundary}`, usual],
    [
      'MP-10',
      'a start parameter, which has no meaning here',
      `${related}; start="<x@y>"; boundary=${boundary}`,
      usual,
    ],
    ['MP-11', 'a CR LF before the first delimiter', plain, around('\r\n', '')],
    [
      'MP-12',
      'preamble and epilogue',
      plain,
      around('This is a preamble\r\nof two lines\r\n', 'and an epilogue'),
    ],
    [
      'MP-13',
      'spaces and tabs after the delimiters',
      plain,
      (file) =>
        Buffer.concat([
          Buffer.from(`--${boundary} \t \r\n${dicom}\r\n`),
          file,
          Buffer.from(`\r\n--${boundary}--  \t\r\n`),
        ]),
    ],
    ['MP-13', 'no CR LF after the closing delimiter', plain, (file) => usual(file).subarray(0, -2)],
    ['MP-17', 'a first part without headers', plain, withPartHeaders('')],
    [
      'MP-18',
      'a part with a transfer syntax',
      plain,
      withPartHeaders(
        'content-type: Application/Dicom; transfer-syntax=1.2.840.10008.1.2.4.70\r\n',
      ),
    ],
    [
      'MP-20',
      'headers that mean nothing here',
      plain,
      withPartHeaders(
        `${dicom}MIME-Version: 1.0\r\nContent-Disposition: attachment; filename="${canary.patientName}.dcm"\r\nContent-ID: <1@x>\r\nContent-Location: a\r\n`,
      ),
    ],
    ...['binary', '8bit', '7bit', 'BINARY'].map((encoding): [string, string, string, Wrap] => [
      'MP-22',
      `Content-Transfer-Encoding: ${encoding}`,
      plain,
      withPartHeaders(`${dicom}Content-Transfer-Encoding: ${encoding}\r\n`),
    ]),
    [
      'MP-21',
      'a Content-Length that is right',
      plain,
      (file) => Buffer.concat([part(`${dicom}Content-Length: ${file.length}\r\n`, file), closed()]),
    ],
    [
      'MP-23',
      'folded header lines',
      plain,
      withPartHeaders(
        'Content-Type: application/dicom;\r\n\ttransfer-syntax=1.2.840.10008.1.2.1\r\n',
      ),
    ],
    [
      'MP-31',
      'an epilogue that looks like another part',
      plain,
      around('', `--${boundary}\r\nContent-Type: text/plain\r\n\r\nx\r\n--${boundary}--\r\n`),
    ],
  ]

  test.each(accepted)('%s: takes %s', async (_id, _name, contentType, wrap) => {
    const study = newStudy()
    const { uid, file } = study.instance()
    const answer = await post(contentType, wrap(file))
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(await storedIn(server, study.uid)).toEqual([uid])
    const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
    expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
  })

  test('MP-14, MP-15, MP-32, OTA-9: what only looks like a delimiter stays in the pixel data', async () => {
    const study = newStudy()
    const lookAlikes = [
      `--${boundary}\r\n`,
      `x--${boundary}--\r\n`,
      `\n--${boundary}\r\n`,
      `\r\n--${boundary}X\r\n`,
      `\r\n--${boundary}--X\r\n`,
      `\r\n--${boundary} X\r\n`,
      `\r\n--${boundary}\n`,
      `\r\n--${boundary.toUpperCase()}\r\n`,
      `\r\r\n--${boundary.slice(0, -1)}\r\n`,
      '\r\n\r\n',
      `\r\n-${boundary}`,
      `\r\n--${boundary}\r`,
    ].join('')
    const pixelBytes = Buffer.from(lookAlikes.length % 2 === 0 ? lookAlikes : `${lookAlikes}!`)
    const { uid, file } = study.instance({ pixelBytes })
    const answer = await send([file, study.instance().file])
    expect(answer.status).toBe(200)
    const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
    expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
  })

  const refused: [id: string, name: string, status: number, contentType: string, wrap: Wrap][] = [
    [
      'MP-02',
      'a boundary in another case',
      400,
      `${related}; boundary=${boundary.toUpperCase()}`,
      usual,
    ],
    ['MP-07', 'no boundary', 400, related, usual],
    ['MP-07', 'an empty boundary', 400, `${related}; boundary=""`, asBoundary('')],
    [
      'MP-07',
      'a boundary of 71 characters',
      400,
      `${related}; boundary=${'b'.repeat(71)}`,
      asBoundary('b'.repeat(71)),
    ],
    [
      'MP-07',
      'a boundary that ends with a space',
      400,
      `${related}; boundary="abc "`,
      asBoundary('abc '),
    ],
    [
      'MP-07',
      'a boundary with a control character',
      400,
      `${related}; boundary="a\tb"`,
      asBoundary('a\tb'),
    ],
    [
      'MP-08',
      'no type, and a first part that is not DICOM',
      415,
      `multipart/related; boundary=${boundary}`,
      withPartHeaders('Content-Type: image/jpeg\r\n'),
    ],
    [
      'MP-08',
      'no type anywhere',
      415,
      `multipart/related; boundary=${boundary}`,
      withPartHeaders(''),
    ],
    [
      'MP-17',
      'a later part without headers',
      415,
      plain,
      (file) => Buffer.concat([part(dicom, file), Buffer.from('\r\n'), part('', file), closed()]),
    ],
    [
      'MP-19, OTA-6',
      'a later part of another type',
      415,
      plain,
      (file) =>
        Buffer.concat([
          part(dicom, file),
          Buffer.from('\r\n'),
          part('Content-Type: text/plain\r\n', Buffer.from('x')),
          Buffer.from('\r\n'),
          part(dicom, file),
          closed(),
        ]),
    ],
    [
      'MP-19',
      'application/octet-stream',
      415,
      plain,
      withPartHeaders('Content-Type: application/octet-stream\r\n'),
    ],
    [
      'MP-21',
      'a Content-Length that is wrong',
      400,
      plain,
      withPartHeaders(`${dicom}Content-Length: 7\r\n`),
    ],
    [
      'MP-21',
      'a Content-Length that is no number',
      400,
      plain,
      withPartHeaders(`${dicom}Content-Length: x\r\n`),
    ],
    ...['base64', 'quoted-printable'].map((encoding): [string, string, number, string, Wrap] => [
      'MP-22',
      `Content-Transfer-Encoding: ${encoding}`,
      415,
      plain,
      withPartHeaders(`${dicom}Content-Transfer-Encoding: ${encoding}\r\n`),
    ]),
    ['MP-24', 'a header line without a colon', 400, plain, withPartHeaders(`${dicom}nonsense\r\n`)],
    ['MP-24', 'NUL in a header', 400, plain, withPartHeaders(`${dicom}X: a\0b\r\n`)],
    ['MP-24', 'a bare CR in a header', 400, plain, withPartHeaders(`${dicom}X: a\rb\r\n`)],
    [
      'MP-24',
      'headers of more than 16 KiB',
      400,
      plain,
      withPartHeaders(`${dicom}X: ${'a'.repeat(16 * 1024)}\r\n`),
    ],
    [
      'MP-25',
      'lines that end in LF',
      400,
      plain,
      (file) =>
        Buffer.concat([
          Buffer.from(`--${boundary}\nContent-Type: application/dicom\n\n`),
          file,
          Buffer.from(`\n--${boundary}--\n`),
        ]),
    ],
    [
      'MP-26',
      'a body that ends inside a part',
      400,
      plain,
      (file) =>
        Buffer.concat([part(dicom, file), Buffer.from('\r\n'), part(dicom, file.subarray(0, 500))]),
    ],
    [
      'MP-26, OTA-1',
      'a body that ends right after a part',
      400,
      plain,
      (file) => part(dicom, file),
    ],
    [
      'MP-26',
      'a body that ends in its closing delimiter',
      400,
      plain,
      (file) => usual(file).subarray(0, -3),
    ],
    ['MP-28', 'an empty body', 400, plain, () => Buffer.alloc(0)],
    ['MP-28', 'a closing delimiter alone', 400, plain, () => Buffer.from(`--${boundary}--\r\n`)],
    ['MP-28', 'no delimiter at all', 400, plain, (file) => file],
    [
      'MP-30',
      'a multipart inside a part',
      415,
      plain,
      (file) =>
        Buffer.concat([
          part(
            'Content-Type: multipart/related; boundary=inner\r\n',
            Buffer.concat([part(dicom, file, 'inner'), closed('inner')]),
          ),
          closed(),
        ]),
    ],
  ]

  test.each(refused)(
    '%s: refuses %s with %i, and stores nothing',
    async (_id, _name, status, contentType, wrap) => {
      const study = newStudy()
      expectProblem(await post(contentType, wrap(study.instance().file)), status)
      expect(await storedIn(server, study.uid)).toEqual([])
    },
  )

  test('MP-19, OTA-6: gives all bytes back when the last of 21 parts is of another type', async () => {
    const study = newStudy()
    const files = Array.from({ length: 20 }, () => study.instance().file)
    const before = segmentsOf(server)
    const body = Buffer.concat([
      multipartBody(files).subarray(0, -4),
      Buffer.from('\r\nContent-Type: text/plain\r\n\r\nx'),
      closed(),
    ])
    expectProblem(await post(multipartType, body), 415)
    expect(await storedIn(server, study.uid)).toEqual([])
    expect(segmentsOf(server)).toEqual(before)
  })
})

test('patient data are in no answer, no name of a file, and not in the log (P10)', async () => {
  expectNoPatientData(...(await leftBehindBy(server)))
})
