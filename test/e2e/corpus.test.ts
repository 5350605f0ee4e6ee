import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { corpusFile, corpusFiles, whyNoCorpus } from '../support/dicom-corpus.ts'
import { explicitBigEndian, implicitLittleEndian } from '../support/dicom-file.ts'
import { readInstance } from '../support/dicom-reading.ts'
import { partsOf } from '../support/received-parts.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { readAnswer, type StowAnswer, stow } from '../support/stow.ts'
import type { Dataset } from './dicomweb.ts'

/**
 * What is refused, by its Failure Reason. Any other file must be taken, so that nothing is refused by
 * accident; test/dicom/corpus.test.ts has the error of each.
 */
const refused: [failureReason: number, why: string, paths: string[]][] = [
  [
    0xc000,
    'DV-01, DV-02: no "DICM" at offset 128',
    [
      'dicom-test-files/pydicom/OT-PAL-8-face.dcm',
      'pydicom/ExplVR_BigEndNoMeta.dcm',
      'pydicom/ExplVR_LitEndNoMeta.dcm',
      'pydicom/no_meta.dcm',
      'pydicom/rtstruct.dcm',
    ],
  ],
  [
    0xc000,
    'DV-03: the File Meta Information names no transfer syntax',
    ['pydicom/meta_missing_tsyntax.dcm'],
  ],
  [
    0xc000,
    'DV-04: truncated',
    [
      'dicom-test-files/pydicom/emri_small_jpeg_2k_lossless_too_short.dcm',
      'pydicom/MR_truncated.dcm',
      'pydicom/rtplan_truncated.dcm',
    ],
  ],
  [0xc000, 'declared as Explicit VR, written as Implicit VR', ['pydicom/SC_rgb_jpeg.dcm']],
  [
    0xa900,
    'DV-08: the File Meta Information names another instance than the data set',
    [
      'pydicom/badVR.dcm',
      'pydicom/charset/chrJapMulti.dcm',
      'pydicom/charset/chrJapMultiExplicitIR6.dcm',
      'pydicom/rtdose.dcm',
      'pydicom/rtdose_1frame.dcm',
      'pydicom/rtdose_expb.dcm',
      'pydicom/rtdose_expb_1frame.dcm',
      'pydicom/rtplan.dcm',
    ],
  ],
  [
    0x0120,
    'DV-09: no Study, Series or SOP Instance UID, or no SOP Class UID',
    [
      'dicom-test-files/pydicom/priv_SQ.dcm',
      'pydicom/JPEGLSNearLossless_08.dcm',
      'pydicom/JPEGLSNearLossless_16.dcm',
      'pydicom/SC_rgb_jls_lossy_line.dcm',
      'pydicom/SC_rgb_jls_lossy_sample.dcm',
      'pydicom/UN_sequence.dcm',
      'pydicom/charset/chrSQEncoding.dcm',
      'pydicom/charset/chrSQEncoding1.dcm',
      'pydicom/empty_charset_LEI.dcm',
      'pydicom/nested_priv_SQ.dcm',
      'pydicom/no_meta_group_length.dcm',
      'pydicom/priv_SQ.dcm',
    ],
  ],
  [
    0x0117,
    'DV-11: a component of its SOP Instance UID begins with 0',
    ['dicom-test-files/pydicom/bad_sequence.dcm'],
  ],
]

const reasonOf = new Map(
  refused.flatMap(([failureReason, , paths]) => paths.map((path) => [path, failureReason])),
)

/** Many files of the corpus are one instance in several transfer syntaxes: the first one stays. (DV-16, DV-17) */
const alreadyStored = [0x0111, 0x0119]

const why = whyNoCorpus()
const files = why === undefined ? corpusFiles() : []

describe.skipIf(why !== undefined)('Real files, one at a time', () => {
  let server: StowageServer
  let sql: Awaited<ReturnType<StowageServer['connect']>>
  const stored = new Map<string, string>()
  let renamedCount = 0

  beforeAll(async () => {
    server = await startServer()
    sql = await server.connect()
  })

  afterAll(async () => {
    await sql[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  async function post(file: Uint8Array): Promise<StowAnswer> {
    const answer = await fetch(`${server.dicomWeb}/studies`, {
      method: 'POST',
      headers: { 'content-type': 'application/dicom' },
      body: new Uint8Array(file),
    })
    return readAnswer(answer)
  }

  test('the table names no file that is not there', () => {
    expect([...reasonOf.keys()].filter((path) => !files.includes(path))).toEqual([])
  })

  test.each(files)(
    '%s comes back as it went in, or is refused for the reason in the table',
    async (path) => {
      const file = corpusFile(path)
      const answer = await post(file)
      const reason = reasonOf.get(path)
      if (reason !== undefined) {
        expect(answer.status).toBe(409)
        expect(refusalsOf(answer)).toEqual([reason])
        return
      }
      const [conflict] = itemsOf(answer, '00081198')
      if (conflict === undefined) {
        await expectStored(file, answer)
        return
      }
      const uid = firstOf(conflict, '00081155')
      expect(alreadyStored).toContain(firstOf(conflict, '00081197'))
      expect(stored.get(uid)).toBeDefined()
      expect(stored.get(uid)).not.toBe(sha256(file))
      const renamed = withUID(
        file,
        uid,
        `2.25.${String(++renamedCount).padStart(uid.length - 5, '7')}`,
      )
      await expectStored(renamed, await post(renamed))
    },
  )

  async function expectStored(file: Buffer, answer: StowAnswer): Promise<void> {
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300)
    const [item, ...more] = itemsOf(answer, '00081199') as [Dataset]
    expect(more).toEqual([])
    const url: string = firstOf(item, '00081190')
    // The digest is of what lies in the segment; `stowage check` compares them.
    const uid = firstOf(item, '00081155')
    const [row] = await sql`select digest from instances where sop_instance_uid = ${uid}`
    expect(Buffer.from(row?.digest).toString('hex')).toBe(sha256(file))
    const accept = 'application/dicom; transfer-syntax=*'
    const back = await fetch(url, { headers: { accept } })
    const body = Buffer.from(await back.arrayBuffer())
    if (isSentAsStored(file)) expect(sha256(body)).toBe(sha256(file))
    else expect(back.headers.get('content-type')).toContain('transfer-syntax=1.2.840.10008.1.2.1')
    const metadata = await readAnswer(await fetch(`${url}/metadata`))
    expect(metadata.status).toBe(200)
    const [dataset] = metadata.body as [Dataset]
    expect(firstOf(dataset, '00080016')).toBe(firstOf(item, '00081150'))
    expect(firstOf(dataset, '00080018')).toBe(firstOf(item, '00081155'))
    expect(url).toBe(
      `${server.dicomWeb}/studies/${firstOf(dataset, '0020000D')}/series/${firstOf(dataset, '0020000E')}/instances/${firstOf(dataset, '00080018')}`,
    )
    for (const uri of bulkDataURIs(dataset)) {
      expect((await fetch(uri, { method: 'HEAD' })).status).toBe(200)
    }
    stored.set(firstOf(item, '00081155'), sha256(file))
  }
})

describe.skipIf(why !== undefined)('Real files, a folder in one lenient request', () => {
  let server: StowageServer
  const stored = new Set<string>()

  beforeAll(async () => {
    server = await startServer()
  })

  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })

  const folders = grouped(files)

  test.each([...folders])('%s', async (_folder, paths) => {
    const contents = paths.map(corpusFile)
    const answer = await stow(`${server.dicomWeb}/studies`, contents, {
      prefer: 'handling=lenient',
    })
    const refusedHere = paths.flatMap((path) => reasonOf.get(path) ?? [])
    if (refusedHere.length < paths.length) expect([200, 202]).toContain(answer.status)
    const others = refusalsOf(answer).filter((reason) => !alreadyStored.includes(reason))
    expect(others.sort()).toEqual(refusedHere.sort())
    for (const item of itemsOf(answer, '00081199')) stored.add(firstOf(item, '00081155'))
    for (const item of itemsOf(answer, '00081198')) {
      if (alreadyStored.includes(firstOf(item, '00081197'))) {
        expect(stored).toContain(firstOf(item, '00081155'))
      }
    }
    const told = itemsOf(answer, '00081199').length + refusalsOf(answer).length
    expect(told).toBe(paths.length)
  })

  test('all of it comes back by study, and counts agree', async () => {
    const sent = new Set(files.map((path) => sha256(corpusFile(path))))
    const studies = await readAnswer(await fetch(`${server.dicomWeb}/studies`))
    let count = 0
    let anew = 0
    for (const study of studies.body as Dataset[]) {
      const answer = await fetch(firstOf(study, '00081190'))
      const body = Buffer.from(await answer.arrayBuffer())
      const parts = partsOf(answer.headers.get('content-type'), body)
      expect(parts).toHaveLength(firstOf(study, '00201208'))
      anew += parts.filter((part) => !sent.has(sha256(part.bytes))).length
      count += parts.length
    }
    expect(count).toBe(stored.size)
    await using sql = await server.connect()
    const [row] = await sql`
      select count(*)::int as count from instances
      where transfer_syntax_uid in (${implicitLittleEndian}, ${explicitBigEndian})`
    expect(anew).toBe(row?.count)
  })
})

/** Implicit VR and big endian do not go over the web (WA-N12). */
function isSentAsStored(file: Uint8Array): boolean {
  const { transferSyntaxUID } = readInstance(file)
  return transferSyntaxUID !== implicitLittleEndian && transferSyntaxUID !== explicitBigEndian
}

function itemsOf({ body }: StowAnswer, sequence: string): Dataset[] {
  return body[sequence]?.Value ?? []
}

function refusalsOf(answer: StowAnswer): number[] {
  return ['00081198', '0008119A'].flatMap((sequence) =>
    itemsOf(answer, sequence).map((item) => firstOf(item, '00081197')),
  )
}

// biome-ignore lint/suspicious/noExplicitAny: what it is depends on the tag
function firstOf(dataset: Dataset, tag: string): any {
  return dataset[tag]?.Value?.[0]
}

function bulkDataURIs(dataset: Dataset): string[] {
  return [...JSON.stringify(dataset).matchAll(/"BulkDataURI":"([^"]+)"/g)].map(
    ([, uri]) => uri as string,
  )
}

/** The file as another instance: the same length, so that nothing else changes. */
function withUID(file: Buffer, uid: string, other: string): Buffer {
  const changed = Buffer.from(file)
  for (let at = changed.indexOf(uid); at !== -1; at = changed.indexOf(uid, at + 1)) {
    changed.write(other, at, 'latin1')
  }
  return changed
}

function grouped(paths: string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const path of paths) {
    groups.set(dirname(path), [...(groups.get(dirname(path)) ?? []), path])
  }
  return groups
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
