import { describe, expect, test } from 'vitest'
import { findKeys, type ResultKey, type Search } from '../../db/search.ts'
import type { DicomJson } from '../../server/dicom/json-to-xml.ts'
import { KeptStudies } from '../../server/qido/kept-studies.ts'
import { parseParameters } from '../../server/qido/parameters.ts'
import { Patience } from '../../server/qido/patience.ts'
import { deleted, filesOfStudy, madeStudy } from '../deletion/support.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { type TestIntake, testIntake } from '../support/intake.ts'

const search: Search = {
  level: 'study',
  ...parseParameters('study', new URLSearchParams('limit=100')),
  told: { study: true, series: true },
}

/** Reads lists of studies, and counts for how many of them Postgres was asked. */
function reader({ db }: TestIntake) {
  const kept = new KeptStudies()
  const patience = new Patience(new AbortController().signal)
  const seen = { asked: 0 }
  const counting = {
    async with(running: Parameters<Patience['with']>[0]) {
      const rows = (await patience.with(running)) as unknown[]
      seen.asked += rows.length
      return rows
    },
  }
  return {
    seen,
    find: () => findKeys(db, search),
    async read(
      { keys, versions }: { keys: ResultKey[]; versions: string[] },
      studiesURL = 'http://one/studies',
      told: Search['told'] = search.told,
    ): Promise<DicomJson[]> {
      const asked = { search: { ...search, told }, fields: [], studiesURL }
      const texts = await kept.read(keys, versions, asked, db, counting as unknown as Patience)
      return JSON.parse(`[${texts.join(',')}]`)
    },
  }
}

const uidsOf = (results: DicomJson[]) => results.map((one) => one['0020000D']?.Value?.[0])
const countsOf = (results: DicomJson[]) => results.map((one) => one['00201208']?.Value?.[0])

async function archiveOf(t: TestIntake, count: number) {
  const studies = Array.from({ length: count }, () => madeStudy(1, 2))
  for (const study of studies) await t.send(filesOfStudy(study))
  return studies
}

describe('What studies say in a list', () => {
  test('is asked for once, as long as they are what they were', async () => {
    await using t = await testIntake()
    await archiveOf(t, 3)
    const { seen, find, read } = reader(t)
    const first = await read(await find())
    expect(first).toHaveLength(3)
    expect(await read(await find())).toEqual(first)
    expect(seen.asked).toBe(3)
  })

  test('is what it is now, whatever was done to them since', async () => {
    await using t = await testIntake()
    const [one, two, three] = await archiveOf(t, 3)
    if (!one || !two || !three) throw new Error()
    const { seen, find, read } = reader(t)
    const order = uidsOf(await read(await find()))
    const { studyInstanceUID, patientID } = one
    await t.send([dicomFile({ studyInstanceUID, patientID, seriesInstanceUID: uniqueUID() })])
    await deleted(t.db, { ...two, ...two.instances[0] })
    await deleted(t.db, three)
    const now = await read(await find())
    const expected = new Map<unknown, number>([
      [one.studyInstanceUID, 3],
      [two.studyInstanceUID, 1],
    ])
    expect(uidsOf(now)).toEqual(order.filter((uid) => expected.has(uid)))
    expect(countsOf(now)).toEqual(uidsOf(now).map((uid) => expected.get(uid)))
    expect(seen.asked).toBe(3 + 2)
  })

  test('is left out of studies that were deleted before it was read, and kept of those that were found before', async () => {
    await using t = await testIntake()
    const [one, two] = await archiveOf(t, 2)
    if (!one || !two) throw new Error()
    const { find, read } = reader(t)
    const found = await find()
    await deleted(t.db, one)
    expect(uidsOf(await read(found))).toEqual([two.studyInstanceUID])
  })

  test('has the address that it is asked for at, and what it is asked for', async () => {
    await using t = await testIntake()
    const [study] = await archiveOf(t, 1)
    const { find, read } = reader(t)
    const found = await find()
    for (let round = 0; round < 2; round++) {
      for (const url of ['http://one/studies', 'http://two/studies']) {
        const [result] = await read(found, url)
        expect(result?.['00081190']?.Value).toEqual([`${url}/${study?.studyInstanceUID}`])
        expect(result?.['710100F0']).toBeUndefined()
        const [more] = await read(found, url, { ...search.told, completeness: true })
        expect(more?.['710100F0']?.Value).toEqual(['STOWAGE 1.0'])
      }
    }
  })

  test('is kept of those that were asked for last, while there is room', async () => {
    await using t = await testIntake()
    await archiveOf(t, 1)
    const { seen, find, read } = reader(t)
    const found = await find()
    // Long addresses, so that a few fill it.
    const addresses = Array.from(
      { length: 12 },
      (_, n) => `http://${n}/${'x'.repeat(2 ** 20)}/studies`,
    )
    for (const address of addresses) {
      await read(found, address)
      await read(found, addresses[0])
    }
    expect(seen.asked).toBe(12)
    await read(found, addresses[0])
    await read(found, addresses.at(-1))
    expect(seen.asked).toBe(12)
    await read(found, addresses[1])
    expect(seen.asked).toBe(13)
  })
})
