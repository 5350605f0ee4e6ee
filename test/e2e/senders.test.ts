import { once } from 'node:events'
import { connect } from 'node:net'
import type postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  allOf,
  expectClean,
  expectConsistent,
  expectNothingOf,
  foundOf,
  seenOf,
  settledHoldings,
  testStudy,
} from '../support/archive.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import {
  multipartBody,
  multipartType,
  postChunked,
  requestHead,
  type StowAnswer,
  sendRaw,
  stow,
} from '../support/stow.ts'

let server: StowageServer
let sql: postgres.Sql

beforeAll(async () => {
  server = await startServer()
  sql = await server.connect()
})

afterEach(async () => {
  await settledHoldings(server, sql)
  await expectConsistent(server, sql)
  const [row] = await sql`
    select deadlocks::int as count from pg_stat_database where datname = current_database()`
  expect(row?.count, 'deadlocks, though they would be tried again').toBe(0)
})

afterAll(async () => {
  if (server !== undefined) await expectClean(server)
  expect(server?.log).not.toMatch(/deadlock|unhandled| error /i)
  await sql?.end({ timeout: 1 })
  await server?.[Symbol.asyncDispose]()
})

const post = (files: Uint8Array[]): Promise<StowAnswer> => stow(`${server.dicomWeb}/studies`, files)

const statusesOf = (answers: StowAnswer[]) => answers.map(({ status }) => status).sort()

describe('many senders at the same time (P1)', () => {
  const senders = 8
  const rounds = 20

  test('lose no instance of a study that all of them send to', async () => {
    const studyInstanceUID = uniqueUID()
    const series = [uniqueUID(), uniqueUID(), uniqueUID()]
    for (let round = 0; round < rounds; round++) {
      const requests = Array.from({ length: senders }, (_, sender) => [
        // Two series that all share, in either order, and one of the sender's own.
        ...(sender % 2 === 0 ? series : series.toReversed()),
        `${studyInstanceUID}.${round}.${sender + 1}`,
      ])
      const answers = await Promise.all(
        requests.map((uids) =>
          post(uids.map((seriesInstanceUID) => dicomFile({ studyInstanceUID, seriesInstanceUID }))),
        ),
      )
      expect(statusesOf(answers)).toEqual(Array(senders).fill(200))
      expect(await foundOf(server, studyInstanceUID)).toBe((round + 1) * senders * 4)
    }
    expect(await seenOf(server, studyInstanceUID)).toEqual(allOf(rounds * senders * 4))
    const [row] = await sql`
      select series_count from studies where study_instance_uid = ${studyInstanceUID}`
    expect(row?.series_count).toBe(3 + rounds * senders)
  })

  test('count the studies of one patient right', async () => {
    const patientID = 'MANY'
    for (let round = 0; round < 5; round++) {
      const requests = Array.from({ length: senders }, () => [
        ...testStudy(2, 512, patientID).files,
        ...testStudy(1, 512, patientID).files,
      ])
      const answers = await Promise.all(requests.map(post))
      expect(statusesOf(answers)).toEqual(Array(senders).fill(200))
    }
    const rows = await sql`
      select study_count, series_count, instance_count
      from patients
      where patient_id = ${patientID}`
    expect([...rows]).toEqual([{ study_count: 80, series_count: 80, instance_count: 120 }])
  })

  test.each([
    { name: 'of several patients', without: [] },
    // Without a common patient nothing but the studies themselves keeps the senders apart.
    { name: 'of nobody', without: ['00100020'] },
  ])('meet in several studies and series $name, in any order', async ({ without }) => {
    const studies = Array.from({ length: 6 }, (_, number) => ({
      studyInstanceUID: uniqueUID(),
      seriesInstanceUID: uniqueUID(),
      patientID: `MEET${number % 3}`,
      without,
    }))
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(
        Array.from({ length: senders }, (_, sender) => {
          const turned = [...studies.slice(sender % 6), ...studies.slice(0, sender % 6)]
          const order = sender % 2 === 0 ? turned : turned.toReversed()
          return post(order.map((study) => dicomFile(study)))
        }),
      )
      expect(statusesOf(answers)).toEqual(Array(senders).fill(200))
    }
    for (const { studyInstanceUID } of studies) {
      expect(await foundOf(server, studyInstanceUID)).toBe(5 * senders)
    }
  })
})

describe('the same instance in two requests at the same moment (AT-10)', () => {
  const times = 20

  test('is stored once, and both succeed, when the bytes are equal (AT-05)', async () => {
    for (let time = 0; time < times; time++) {
      const study = testStudy(3)
      const before = await settledHoldings(server, sql)
      const answers = await Promise.all([post(study.files), post(study.files), post(study.files)])
      expect(statusesOf(answers)).toEqual([200, 200, 200])
      for (const { body } of answers) expect(body['00081199'].Value).toHaveLength(3)
      expect(await foundOf(server, study.studyInstanceUID)).toBe(3)
      const after = await settledHoldings(server, sql)
      expect(after.instances).toBe(before.instances + 3)
      await expectConsistent(server, sql)
    }
  })

  test('is stored once together with all that is new in both, when the bytes are equal', async () => {
    for (let time = 0; time < times; time++) {
      const shared = testStudy(5)
      const uids = { studyInstanceUID: shared.studyInstanceUID, seriesInstanceUID: uniqueUID() }
      const one = [dicomFile(uids), ...shared.files, dicomFile(uids)]
      const two = [...shared.files.toReversed(), dicomFile(uids)]
      const answers = await Promise.all([post(one), post(two)])
      // The shared files name another patient than the others do, so somebody is warned of that.
      for (const { status } of answers) expect([200, 202]).toContain(status)
      expect(await foundOf(server, shared.studyInstanceUID)).toBe(8)
    }
  })

  test('is stored as exactly one of them sent it, when the bytes differ (AT-06)', async () => {
    for (let time = 0; time < times; time++) {
      const uids = { studyInstanceUID: uniqueUID(), seriesInstanceUID: uniqueUID() }
      const sopInstanceUID = uniqueUID()
      const requests = [1, 2].map((instanceNumber) => [
        dicomFile(uids),
        dicomFile({ ...uids, sopInstanceUID, instanceNumber }),
      ])
      const answers = await Promise.all(requests.map(post))
      expect(statusesOf(answers)).toEqual([200, 409])
      const loser = answers.find(({ status }) => status === 409) as StowAnswer
      const reasons = loser.body['00081198'].Value.map(
        (item: Record<string, { Value: number[] }>) => item['00081197']?.Value[0],
      )
      expect(reasons).toEqual([0xc0ff, 0x0111])
      expect(await foundOf(server, uids.studyInstanceUID)).toBe(2)
      const winner = requests[answers.findIndex(({ status }) => status === 200)] as Buffer[]
      const path = `${uids.studyInstanceUID}/series/${uids.seriesInstanceUID}/instances/${sopInstanceUID}`
      const stored = await fetch(`${server.dicomWeb}/studies/${path}`, {
        headers: { accept: 'application/dicom' },
      })
      expect(Buffer.from(await stored.arrayBuffer()).equals(winner[1] as Buffer)).toBe(true)
    }
  })

  test('leaves a study to one patient, although two requests say whose it is (DV-18)', async () => {
    for (let time = 0; time < times; time++) {
      const uids = { studyInstanceUID: uniqueUID(), seriesInstanceUID: uniqueUID() }
      const patients = ['X', 'Y', 'Z'].map((letter) => `TWO-${letter}-${time}`)
      const answers = await Promise.all(
        patients.map((patientID) => post([dicomFile({ ...uids, patientID })])),
      )
      expect(statusesOf(answers)).toEqual([200, 202, 202])
      const rows = await sql`select patient_id from patients where patient_id = any(${patients})`
      expect(rows).toHaveLength(1)
    }
  })
})

describe('more transfers than STOWAGE_MAX_TRANSFERS (P3)', () => {
  test('are answered 503 with Retry-After before their body is read, until there is room', async () => {
    await using small = await startServer({ env: { STOWAGE_MAX_TRANSFERS: '2' } })
    const url = `${small.dicomWeb}/studies`
    let letGo: () => void = () => {}
    const held = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const studies = [testStudy(2), testStudy(2)]
    const open = studies.map((study) => {
      const body = multipartBody(study.files)
      async function* halves() {
        yield body.subarray(0, body.length / 2)
        await held
        yield body.subarray(body.length / 2)
      }
      return postChunked(url, { 'content-type': multipartType }, halves())
    })
    await using inside = await small.connect()
    await small.until(
      async () =>
        (await inside`select from transfers where state = 'receiving'`).length === open.length,
    )

    const third = testStudy(1)
    const head = (more: Record<string, string>) =>
      requestHead('/dicom-web/studies', { 'content-length': 1e9, ...more })
    // Neither sends a byte of its body; the one that asks is not told to go on.
    for (const more of [{}, { expect: '100-continue' }]) {
      const answer = await sendRaw(small.port, head(more as Record<string, string>), 'wait')
      expect(answer).toMatch(/^HTTP\/1\.1 503 /)
      expect(answer).toMatch(/\r\nretry-after: \d+\r\n/i)
    }
    expect((await stow(url, third.files)).status).toBe(503)
    await expectNothingOf(small, third)
    expect((await fetch(`${url}?limit=1`)).status, 'readers go on').toBe(204)

    letGo()
    for (const answer of await Promise.all(open)) expect(answer.status).toBe(200)
    expect((await stow(url, third.files)).status).toBe(200)
    for (const { studyInstanceUID } of studies)
      expect(await foundOf(small, studyInstanceUID)).toBe(2)
    await settledHoldings(small, inside)
  })

  test('have room again after senders that went away', async () => {
    await using small = await startServer({ env: { STOWAGE_MAX_TRANSFERS: '2' } })
    await using inside = await small.connect()
    for (let time = 0; time < 10; time++) {
      const sockets = [1, 2].map(() => {
        const socket = connect(small.port, '127.0.0.1')
        socket.on('error', () => {})
        socket.write(requestHead('/dicom-web/studies', { 'content-length': 1e6 }))
        socket.write(multipartBody(testStudy(1).files).subarray(0, 200))
        return socket
      })
      await small.until(
        async () => (await inside`select from transfers where state = 'receiving'`).length === 2,
      )
      for (const socket of sockets) {
        socket.resetAndDestroy()
        await once(socket, 'close')
      }
      await settledHoldings(small, inside)
    }
    expect((await stow(`${small.dicomWeb}/studies`, testStudy(1).files)).status).toBe(200)
  })
})
