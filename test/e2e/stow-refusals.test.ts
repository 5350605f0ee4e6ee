import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type DicomFileOptions,
  deflatedLittleEndian,
  explicitBigEndian,
  implicitLittleEndian,
  jpegBaseline,
  uniqueUID,
} from '../support/dicom-file.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import {
  canary,
  ctImageStorage,
  expectNoPatientData,
  leftBehindBy,
  readNativeModel,
  Sender,
  segmentsOf,
  storedIn,
  storeModule,
  type TestStudy,
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

/** A part that cannot be stored, and what the answer says of it. */
interface BadPart {
  id: string
  name: string
  make(study: TestStudy, uid: string): Uint8Array
  reason: number
  /** Whether the answer can name it: in Failed SOP Sequence, else in Other Failures Sequence. */
  isNamed: boolean
  sopClassUID?: string
}

const uidTags = [
  ['SOPClassUID', '00080016', 0x0106],
  ['SOPInstanceUID', '00080018', 0x0117],
  ['StudyInstanceUID', '0020000D', 0x0106],
  ['SeriesInstanceUID', '0020000E', 0x0106],
] as const

const nested = (depth: number): NonNullable<DicomFileOptions['elements']>[number] => ({
  tag: '00081115',
  vr: 'SQ',
  undefinedLength: true,
  items: [depth === 0 ? [] : [nested(depth - 1)]],
})

const bad: BadPart[] = [
  {
    id: 'DV-01',
    name: 'a text',
    make: () => Buffer.from(`Not DICOM, of ${canary.patientName}`),
    reason: 0xc000,
    isNamed: false,
  },
  {
    id: 'DV-01, MP-29',
    name: 'an empty part',
    make: () => Buffer.alloc(0),
    reason: 0xc000,
    isNamed: false,
  },
  {
    id: 'DV-02',
    name: 'a file without preamble',
    make: (study, sopInstanceUID) => study.instance({ sopInstanceUID }).file.subarray(132),
    reason: 0xc000,
    isNamed: false,
  },
  {
    id: 'DV-03',
    name: 'File Meta Information without a transfer syntax',
    make: (study, sopInstanceUID) => study.instance({ sopInstanceUID, without: ['00020010'] }).file,
    reason: 0xc000,
    isNamed: true,
  },
  {
    id: 'DV-04',
    name: 'a file cut in its pixel data',
    make: (study, sopInstanceUID) => study.instance({ sopInstanceUID }).file.subarray(0, -8),
    reason: 0xc000,
    isNamed: true,
  },
  {
    id: 'DV-04',
    name: 'a sequence that is longer than the file',
    make: (study, sopInstanceUID) =>
      study.instance({
        sopInstanceUID,
        elements: [{ tag: '00081115', vr: 'SQ', items: [[]], claimedLength: 1_000_000 }],
      }).file,
    reason: 0xc000,
    isNamed: true,
  },
  {
    id: 'DV-05',
    name: 'an unknown transfer syntax',
    make: (study, sopInstanceUID) =>
      study.instance({ sopInstanceUID, transferSyntaxUID: '1.2.826.0.1.3680043.10.1474.9' }).file,
    reason: 0xc122,
    isNamed: true,
  },
  {
    id: 'DV-08',
    name: 'File Meta Information of another instance',
    make: (study, sopInstanceUID) =>
      study.instance({ sopInstanceUID, meta: [{ tag: '00020003', vr: 'UI', value: '1.2.3' }] })
        .file,
    reason: 0xa900,
    isNamed: true,
  },
  {
    id: 'DV-08',
    name: 'File Meta Information of another SOP class',
    make: (study, sopInstanceUID) =>
      study.instance({ sopInstanceUID, meta: [{ tag: '00020002', vr: 'UI', value: '1.2.3' }] })
        .file,
    reason: 0xa900,
    isNamed: true,
  },
  ...uidTags.flatMap(([keyword, tag, invalid]): BadPart[] => {
    const changed =
      (value: string | undefined) =>
      (study: TestStudy, sopInstanceUID: string): Uint8Array =>
        study.instance({
          sopInstanceUID,
          ...(value === undefined ? { without: [tag] } : { elements: [{ tag, vr: 'UI', value }] }),
        }).file
    return [
      // The File Meta Information names class and instance where the data set does not.
      {
        id: 'DV-09',
        name: `no ${keyword}`,
        make: changed(undefined),
        reason: 0x0120,
        isNamed: true,
      },
      {
        id: 'DV-10',
        name: `an empty ${keyword}`,
        make: changed(''),
        reason: 0x0121,
        isNamed: true,
      },
      {
        id: 'DV-11',
        name: `a ${keyword} that is none`,
        make: changed('1.2.abc'),
        reason: invalid,
        isNamed: true,
      },
      {
        id: 'DV-12',
        name: `a ${keyword} of 65 characters`,
        make: changed(`1.${'2'.repeat(63)}`),
        reason: invalid,
        isNamed: true,
      },
      {
        id: 'DV-13',
        name: `a ${keyword} of two values`,
        make: changed('1.2.3\\1.2.4'),
        reason: 0xa900,
        isNamed: true,
      },
    ]
  }),
  {
    id: 'DV-09',
    name: 'no SOP Instance UID anywhere',
    make: (study) => study.instance({ without: ['00080018', '00020003'] }).file,
    reason: 0x0120,
    isNamed: false,
  },
  {
    id: 'DV-11',
    name: 'no valid SOP Instance UID anywhere',
    make: (study) => study.instance({ sopInstanceUID: 'Canaryname' }).file,
    reason: 0x0117,
    isNamed: false,
  },
  {
    id: 'DV-23',
    name: 'a DICOMDIR',
    make: (study, sopInstanceUID) =>
      study.instance({ sopInstanceUID, sopClassUID: '1.2.840.10008.1.3.10' }).file,
    reason: 0x0122,
    isNamed: true,
    sopClassUID: '1.2.840.10008.1.3.10',
  },
  {
    id: 'DV-24',
    name: 'an element that claims 4 GiB',
    make: (study, sopInstanceUID) =>
      study.instance({
        sopInstanceUID,
        elements: [
          { tag: '00420011', vr: 'OB', value: Buffer.alloc(8), claimedLength: 0xfffffffe },
        ],
      }).file,
    reason: 0xc000,
    isNamed: true,
  },
  {
    id: 'DV-24',
    name: 'sequences in sequences, 200 deep',
    make: (study, sopInstanceUID) =>
      study.instance({ sopInstanceUID, elements: [nested(200)] }).file,
    reason: 0xa700,
    isNamed: true,
  },
  {
    id: 'DV-24',
    name: 'a deflated data set that inflates without end',
    make: (study, sopInstanceUID) =>
      study.instance({
        sopInstanceUID,
        transferSyntaxUID: deflatedLittleEndian,
        pixelBytes: 64_000_000,
      }).file,
    reason: 0xa700,
    isNamed: true,
  },
]

const badParts = bad.map((one): [string, string, BadPart] => [one.id, one.name, one])

const rolledBack = 0xc0ff

describe('A bad part (PS3.18 10.5.3, Annex I)', () => {
  test.each(badParts)('%s: %s is refused; strict, the others with it', async (_id, _name, bad) => {
    const study = newStudy()
    const [first, last] = [study.instance(), study.instance()]
    const uid = uniqueUID()
    const files = [first.file, bad.make(study, uid), last.file]
    const guilty = {
      sopInstanceUID: uid,
      reason: bad.reason,
      ...(bad.sopClassUID ? { sopClassUID: bad.sopClassUID } : {}),
    }
    const innocent = [first, last].map((one) => ({
      sopInstanceUID: one.uid,
      reason: rolledBack,
    })) as [{ sopInstanceUID: string; reason: number }, { sopInstanceUID: string; reason: number }]
    const expected = storeModule(
      bad.isNamed
        ? { failed: [innocent[0], guilty, innocent[1]] }
        : { failed: innocent, others: [bad.reason] },
    )
    const answer = await send(files)
    expect(answer.status).toBe(409)
    expect(answer.headers.get('content-type')).toBe('application/dicom+json')
    expect(answer.headers.get('location')).toBeNull()
    expect(answer.headers.get('preference-applied')).toBeNull()
    expect(answer.body).toEqual(expected)
    const inXML = await send(files, { accept: 'application/dicom+xml', prefer: 'handling=strict' })
    expect(inXML.status).toBe(409)
    expect(inXML.headers.get('content-type')).toBe('application/dicom+xml')
    expect(inXML.headers.get('preference-applied')).toBe('handling=strict')
    expect(readNativeModel(inXML.body)).toEqual(answer.body)
    expect(await storedIn(server, study.uid)).toEqual([])
  })

  test.each(badParts)('%s: %s is refused; lenient, alone', async (_id, _name, bad) => {
    const study = newStudy()
    const [first, last] = [study.instance(), study.instance()]
    const uid = uniqueUID()
    const files = [first.file, bad.make(study, uid), last.file]
    const guilty = {
      sopInstanceUID: uid,
      reason: bad.reason,
      ...(bad.sopClassUID ? { sopClassUID: bad.sopClassUID } : {}),
    }
    const expected = storeModule({
      retrieveURL: study.url,
      ...(bad.isNamed ? { failed: [guilty] } : {}),
      stored: [first, last].map((one) => ({ sopInstanceUID: one.uid, url: study.urlOf(one.uid) })),
      ...(bad.isNamed ? {} : { others: [bad.reason] }),
    })
    const answer = await send(files, { prefer: 'handling=lenient' })
    expect(answer.status).toBe(202)
    expect(answer.headers.get('preference-applied')).toBe('handling=lenient')
    expect(answer.headers.get('location')).toBe(study.url)
    expect(answer.body).toEqual(expected)
    const headers = { accept: 'application/dicom+xml', prefer: 'handling=lenient' }
    const inXML = await send(files, headers)
    expect(inXML.status).toBe(202)
    expect(readNativeModel(inXML.body)).toEqual(answer.body)
    expect(await storedIn(server, study.uid)).toEqual([first.uid, last.uid].sort())
  })

  test.each(badParts)('%s: %s alone is 409 with the module', async (_id, _name, bad) => {
    const uid = uniqueUID()
    const file = bad.make(newStudy(), uid)
    for (const prefer of ['handling=strict', 'handling=lenient']) {
      const answers = [
        await send([file], { prefer }),
        await post('application/dicom', file, { prefer }),
      ]
      for (const answer of answers) {
        expect(answer.status).toBe(409)
        expect(Object.keys(answer.body)).toEqual([
          '00081190',
          bad.isNamed ? '00081198' : '0008119A',
        ])
        const [item] = answer.body[bad.isNamed ? '00081198' : '0008119A'].Value
        expect(item['00081197']).toEqual({ vr: 'US', Value: [bad.reason] })
      }
    }
  })

  test.each([
    ['the start', 0],
    ['the middle', 250],
    ['the end', 499],
  ])('OTA-4, AT-02, AT-03: one bad part among 500, at %s', async (_where, position) => {
    const study = newStudy()
    const good = Array.from({ length: 499 }, () => study.instance())
    const files = good.map((one) => one.file)
    files.splice(position, 0, Buffer.from('This is not DICOM'))
    const before = segmentsOf(server)
    const strict = await send(files)
    expect(strict.status).toBe(409)
    expect(strict.body).toEqual(
      storeModule({
        failed: good.map((one) => ({ sopInstanceUID: one.uid, reason: rolledBack })),
        others: [0xc000],
      }),
    )
    expect(await storedIn(server, study.uid)).toEqual([])
    expect(segmentsOf(server)).toEqual(before)

    const lenient = await send(files, { prefer: 'handling=lenient' })
    expect(lenient.status).toBe(202)
    expect(lenient.body).toEqual(
      storeModule({
        retrieveURL: study.url,
        stored: good.map((one) => ({ sopInstanceUID: one.uid, url: study.urlOf(one.uid) })),
        others: [0xc000],
      }),
    )
    expect(await storedIn(server, study.uid)).toEqual(good.map((one) => one.uid).sort())
  })

  test('OTA-5, AT-04, DV-14: an instance of another study than that of the path', async () => {
    const [a, b] = [newStudy(), newStudy()]
    const [good, other] = [a.instance(), b.instance()]
    const files = [good.file, other.file]
    const strict = await send(files, {}, a.url)
    expect(strict.status).toBe(409)
    expect(strict.body).toEqual(
      storeModule({
        failed: [
          { sopInstanceUID: good.uid, reason: rolledBack },
          { sopInstanceUID: other.uid, reason: 0xa901 },
        ],
      }),
    )
    const lenient = await send(files, { prefer: 'handling=lenient' }, a.url)
    expect(lenient.status).toBe(202)
    expect(lenient.body).toEqual(
      storeModule({
        retrieveURL: a.url,
        failed: [{ sopInstanceUID: other.uid, reason: 0xa901 }],
        stored: [{ sopInstanceUID: good.uid, url: a.urlOf(good.uid) }],
      }),
    )
    expect(await storedIn(server, a.uid)).toEqual([good.uid])
    expect(await storedIn(server, b.uid)).toEqual([])
    const alone = await send([other.file], { prefer: 'handling=lenient' }, a.url)
    expect(alone.status).toBe(409)
    expect(alone.body).toEqual(
      storeModule({ failed: [{ sopInstanceUID: other.uid, reason: 0xa901 }] }),
    )
  })
})

describe('What is stored already (PS3.18 10.5.2; checklist 1.9)', () => {
  test('AT-05, OTA-14: the same bytes again are success, and are not stored twice', async () => {
    const study = newStudy()
    const [one, two] = [study.instance(), study.instance()]
    const first = await send([one.file, two.file])
    expect(first.status).toBe(200)
    const segments = segmentsOf(server)
    for (const prefer of ['handling=strict', 'handling=lenient']) {
      const again = await send([one.file, two.file], { prefer })
      expect(again.status).toBe(200)
      expect(again.body).toEqual(first.body)
      expect(segmentsOf(server)).toEqual(segments)
    }
    const three = study.instance()
    const more = await send([one.file, three.file])
    expect(more.status).toBe(200)
    expect(more.body).toEqual(
      storeModule({
        retrieveURL: study.url,
        stored: [one, three].map(({ uid }) => ({ sopInstanceUID: uid, url: study.urlOf(uid) })),
      }),
    )
    expect(await storedIn(server, study.uid)).toEqual([one.uid, two.uid, three.uid].sort())
  })

  const conflicts: [id: string, name: string, reason: number, change: DicomFileOptions][] = [
    ['AT-06, DV-16', 'other content', 0x0111, { pixelBytes: Buffer.alloc(512, 7) }],
    ['DV-17', 'another SOP class', 0x0119, { sopClassUID: '1.2.840.10008.5.1.4.1.1.4' }],
    ['AT-07, DV-15', 'another series', 0xa902, { seriesInstanceUID: uniqueUID() }],
    [
      'AT-07, DV-15',
      'another study',
      0xa902,
      { studyInstanceUID: uniqueUID(), seriesInstanceUID: uniqueUID() },
    ],
  ]

  test.each(conflicts)(
    '%s: a SOP Instance UID that is stored with %s',
    async (_id, _name, reason, change) => {
      const study = newStudy()
      const { uid, file } = study.instance()
      await send([file])
      const changed = study.instance({ sopInstanceUID: uid, ...change }).file
      const fresh = study.instance()
      const failed = {
        sopInstanceUID: uid,
        sopClassUID: change.sopClassUID ?? ctImageStorage,
        reason,
      }
      const strict = await send([changed, fresh.file])
      expect(strict.status).toBe(409)
      expect(strict.body).toEqual(
        storeModule({ failed: [failed, { sopInstanceUID: fresh.uid, reason: rolledBack }] }),
      )
      const alone = await send([changed], { prefer: 'handling=lenient' })
      expect(alone.status).toBe(409)
      expect(alone.body).toEqual(storeModule({ failed: [failed] }))
      const lenient = await send([changed, fresh.file], { prefer: 'handling=lenient' })
      expect(lenient.status).toBe(202)
      expect(lenient.body).toEqual(
        storeModule({
          retrieveURL: study.url,
          failed: [failed],
          stored: [{ sopInstanceUID: fresh.uid, url: study.urlOf(fresh.uid) }],
        }),
      )
      const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
      expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
      expect(await storedIn(server, study.uid)).toEqual([uid, fresh.uid].sort())
    },
  )

  test('AT-12, DV-15: a series that is stored with another study', async () => {
    const [a, b] = [newStudy(), newStudy()]
    await send([a.instance().file])
    const moved = b.instance({ seriesInstanceUID: a.series })
    const fresh = b.instance()
    const strict = await send([fresh.file, moved.file])
    expect(strict.status).toBe(409)
    expect(strict.body).toEqual(
      storeModule({
        failed: [
          { sopInstanceUID: fresh.uid, reason: rolledBack },
          { sopInstanceUID: moved.uid, reason: 0xa903 },
        ],
      }),
    )
    const lenient = await send([fresh.file, moved.file], { prefer: 'handling=lenient' })
    expect(lenient.status).toBe(202)
    expect(lenient.body['00081198'].Value[0]['00081197'].Value).toEqual([0xa903])
    expect(await storedIn(server, b.uid)).toEqual([fresh.uid])
  })

  test('AT-12: a series that comes with two studies in one request', async () => {
    const [a, b] = [newStudy(), newStudy()]
    const [first, second] = [a.instance(), b.instance({ seriesInstanceUID: a.series })]
    const answer = await send([first.file, second.file])
    expect(answer.status).toBe(409)
    expect(answer.body).toEqual(
      storeModule({
        failed: [
          { sopInstanceUID: first.uid, reason: rolledBack },
          { sopInstanceUID: second.uid, reason: 0xa903 },
        ],
      }),
    )
  })

  test('AT-08: two parts with the same bytes are one instance', async () => {
    const study = newStudy()
    const { uid, file } = study.instance()
    const answer = await send([file, file])
    expect(answer.status).toBe(200)
    const item = { sopInstanceUID: uid, url: study.urlOf(uid) }
    expect(answer.body).toEqual(storeModule({ retrieveURL: study.url, stored: [item, item] }))
    expect(await storedIn(server, study.uid)).toEqual([uid])
  })

  test('AT-09: two parts with one SOP Instance UID and different bytes', async () => {
    const study = newStudy()
    const { uid, file } = study.instance()
    const changed = study.instance({ sopInstanceUID: uid, instanceNumber: 2 }).file
    const strict = await send([file, changed])
    expect(strict.status).toBe(409)
    expect(strict.body).toEqual(
      storeModule({
        failed: [
          { sopInstanceUID: uid, reason: rolledBack },
          { sopInstanceUID: uid, reason: 0x0111 },
        ],
      }),
    )
    expect(await storedIn(server, study.uid)).toEqual([])
    const lenient = await send([file, changed], { prefer: 'handling=lenient' })
    expect(lenient.status).toBe(202)
    expect(lenient.body).toEqual(
      storeModule({
        retrieveURL: study.url,
        failed: [{ sopInstanceUID: uid, reason: 0x0111 }],
        stored: [{ sopInstanceUID: uid, url: study.urlOf(uid) }],
      }),
    )
    const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
    expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
  })

  test('AT-10: of two requests at once with one SOP Instance UID and different bytes, one wins whole', async () => {
    for (let round = 0; round < 10; round++) {
      const study = newStudy()
      const shared = uniqueUID()
      const requests = [1, 2].map((instanceNumber) => {
        const own = study.instance()
        const contested = study.instance({ sopInstanceUID: shared, instanceNumber })
        return { own, contested, files: [own.file, contested.file] }
      })
      const answers = await Promise.all(requests.map(({ files }) => send(files)))
      expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409])
      const winner = requests[answers.findIndex((answer) => answer.status === 200)]
      const loser = requests[answers.findIndex((answer) => answer.status === 409)]
      expect(answers.find((answer) => answer.status === 409)?.body).toEqual(
        storeModule({
          failed: [
            { sopInstanceUID: loser?.own.uid ?? '', reason: rolledBack },
            { sopInstanceUID: shared, reason: 0x0111 },
          ],
        }),
      )
      expect(await storedIn(server, study.uid)).toEqual([shared, winner?.own.uid].sort())
      const stored = await fetch(study.urlOf(shared), { headers: { accept: 'application/dicom' } })
      const bytes = Buffer.from(await stored.arrayBuffer())
      expect(bytes.equals(winner?.contested.file as Buffer)).toBe(true)
    }
  })
})

describe('What is stored, as it is (checklist 7.3)', () => {
  test.each<[id: string, name: string, status: number, options: DicomFileOptions]>([
    ['DV-06', 'Implicit VR Little Endian', 200, { transferSyntaxUID: implicitLittleEndian }],
    ['DV-06', 'Explicit VR Big Endian', 200, { transferSyntaxUID: explicitBigEndian }],
    ['DV-05', 'a deflated data set', 200, { transferSyntaxUID: deflatedLittleEndian }],
    [
      'DV-05',
      'JPEG fragments',
      200,
      { transferSyntaxUID: jpegBaseline, pixelBytes: [Buffer.alloc(10, 1), Buffer.alloc(4, 2)] },
    ],
    ['DV-19', 'a Study Date that is none', 202, { studyDate: '2024-01-01' }],
    ['DV-19', 'a Modality in lower case', 202, { modality: 'ct' }],
    ['VA-8', 'an Accession Number that is too long', 202, { accessionNumber: 'A'.repeat(17) }],
    ['VA-8', 'a Patient ID of 60,000 characters', 202, { patientID: longText(60_000) }],
    ['7.2', 'no Patient ID', 200, { without: ['00100020'] }],
    ['7.2', 'an empty Patient ID and Study Date', 200, { patientID: '', studyDate: '' }],
    [
      'DV-20',
      'text that its character set does not have',
      200,
      {
        specificCharacterSet: 'ISO_IR 192',
        elements: [{ tag: '00100010', vr: 'PN', value: Buffer.from([0x43, 0xff, 0xfe, 0x5e]) }],
      },
    ],
    [
      'DV-21',
      'a value of odd length',
      200,
      { elements: [{ tag: '00100010', vr: 'PN', value: Buffer.from('Odd') }] },
    ],
    ['DV-22', 'a private SOP class', 200, { sopClassUID: '1.2.826.0.1.3680043.10.1474.77' }],
    ['DV-07', 'a retired SOP class', 200, { sopClassUID: '1.2.840.10008.5.1.1.30' }],
    ['VA-2', 'a UID padded with spaces', 200, { elements: [] }],
    [
      'DV-03',
      'a wrong group length of the File Meta Information',
      200,
      { without: ['00020000'], meta: [{ tag: '00020000', vr: 'UL', value: 7 }] },
    ],
    ['DV-21', 'NUL in a text', 200, { elements: [{ tag: '00081030', vr: 'LO', value: 'a\0b ' }] }],
  ])('%s: %s is %i', async (_id, name, status, options) => {
    const study = newStudy()
    const { uid } = study.instance()
    const padding = name.includes('padded')
      ? { elements: [{ tag: '00080018', vr: 'UI', value: `${uid}${' '.repeat(2)}` }] }
      : {}
    const { file } = study.instance({ sopInstanceUID: uid, ...options, ...padding })
    const answer = await send([file])
    expect(answer.status, JSON.stringify(answer.body)).toBe(status)
    expect(answer.body).toEqual(
      storeModule({
        retrieveURL: study.url,
        stored: [
          {
            sopInstanceUID: uid,
            sopClassUID: options.sopClassUID ?? ctImageStorage,
            url: study.urlOf(uid),
            ...(status === 202 ? { warning: 0xb007 } : {}),
          },
        ],
      }),
    )
    // As it was sent; `stowage check` compares the digest with the bytes.
    await using sql = await server.connect()
    const [row] = await sql`select digest from instances where sop_instance_uid = ${uid}`
    expect(Buffer.from(row?.digest).toString('hex')).toBe(sha256(file))
    const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
    expect(stored.status).toBe(200)
    const isEncodedAnew = [implicitLittleEndian, explicitBigEndian, deflatedLittleEndian].includes(
      options.transferSyntaxUID ?? '',
    )
    const bytes = Buffer.from(await stored.arrayBuffer())
    expect(bytes.equals(file)).toBe(!isEncodedAnew)
    expect((await fetch(`${study.urlOf(uid)}/metadata`)).status).toBe(200)
  })

  test('DV-18: an instance that contradicts its study is stored with a warning', async () => {
    const study = newStudy()
    const [first, second] = [study.instance(), study.instance({ patientID: 'CANARY-ID-4712' })]
    expect((await send([first.file])).status).toBe(200)
    const answer = await send([second.file])
    expect(answer.status).toBe(202)
    expect(answer.body).toEqual(
      storeModule({
        retrieveURL: study.url,
        stored: [{ sopInstanceUID: second.uid, url: study.urlOf(second.uid), warning: 0xb007 }],
      }),
    )
    expect(await storedIn(server, study.uid)).toEqual([first.uid, second.uid].sort())
  })
})

test('patient data are in no answer, no name of a file, and not in the log (P10)', async () => {
  expectNoPatientData(...(await leftBehindBy(server)))
})

/** Text that does not compress: an index of Postgres takes no more than 2.7 KB of it. */
function longText(length: number): string {
  let text = ''
  for (let counter = 0; text.length < length; counter++) {
    text += createHash('sha256').update(String(counter)).digest('base64')
  }
  return text.slice(0, length)
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
