import { describe, expect, test } from 'vitest'
import { defaultTimes } from '../../server/send/post.ts'
import { answers, PlayServer, says } from './play-server.ts'
import { sendFolder, temporaryFolder } from './support.ts'

describe('what an answer means (PS3.18 Table 10.5.3-1, I.1-1)', () => {
  test('202 stores what its Referenced SOP Sequence names, and tells refusals in words and hex', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 3)
    const [first, second, third] = uids as [string, string, string]
    await using server = await PlayServer.start([
      answers(202, { stored: [first], warned: [second], failed: [[third, 0x0111]] }),
    ])
    const { outcomes, summary } = await sendFolder([folder.path], server.base, {
      handling: 'lenient',
    })
    expect(outcomes[0]).toMatchObject({
      state: 'incomplete',
      stored: { length: 2 },
      warnedCount: 1,
    })
    expect(summary).toContain(
      '0x0111 (stored already, or twice in the request, with other content): 1 instance',
    )
    expect(summary).toContain(`    ${folder.path}/a-2.dcm`)
    expect(summary).toContain('stored    0 of 1 study, 2 of 3 instances')
  })

  test('409 names the guilty by file, and counts those that were rolled back with them', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 20)
    const failed = uids.map((uid, at): [string, number] => [uid, at === 7 ? 0xc000 : 0xc0ff])
    await using server = await PlayServer.start([answers(409, { failed })])
    const { outcomes, summary } = await sendFolder([folder.path], server.base)
    expect(outcomes[0]).toMatchObject({ state: 'incomplete', stored: [] })
    expect(summary).toContain('0xC000 (not readable as DICOM): 1 instance')
    expect(summary).toContain('rolled back with its study): 19 instances')
    expect(summary.match(/\.dcm/g)?.length).toBe(1)
    expect(summary).toContain('a-7.dcm')
  })

  test('a study that is stored already counts as stored', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 2)
    await using server = await PlayServer.start([answers(200, { stored: uids })])
    const again = await sendFolder([folder.path], server.base)
    expect(again.outcomes[0]?.state).toBe('stored')
  })

  test.each([200, 202])('%i that leaves out an instance is a failure', async (status) => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 3)
    await using server = await PlayServer.start([answers(status, { stored: uids.slice(1) })])
    const { outcomes, summary } = await sendFolder([folder.path], server.base)
    expect(outcomes[0]).toMatchObject({ state: 'incomplete', stored: { length: 2 } })
    expect(summary).toContain(
      `3 instances were sent, and the answer (${status}) names not 1 of them`,
    )
  })

  test('200 that names other instances than those that were sent is a failure', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 2)
    await using server = await PlayServer.start([answers(200, { stored: ['1.2', '1.3'] })])
    const { outcomes } = await sendFolder([folder.path], server.base)
    expect(outcomes[0]).toMatchObject({ state: 'incomplete', stored: [] })
    expect(outcomes[0]?.failure).toMatch(/names none of them/)
  })

  test.each([
    ['nothing', ''],
    ['XML', '<NativeDicomModel/>'],
    ['a list', '[]'],
    ['text', 'OK'],
  ])('200 with %s in it is a failure: nobody can tell what was stored', async (_what, body) => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    await using server = await PlayServer.start([says(200, {}, body)])
    const { outcomes } = await sendFolder([folder.path], server.base)
    expect(outcomes[0]).toMatchObject({ state: 'incomplete', stored: [] })
    expect(outcomes[0]?.failure).toMatch(/nobody can tell what was stored/)
  })

  test('of two files with one UID as many are refused as the answer says', async () => {
    await using folder = await temporaryFolder()
    const { studyInstanceUID, uids } = await folder.putStudy('a', 1)
    const [sopInstanceUID] = uids as [string]
    await folder.putStudy('b', 1, { studyInstanceUID, sopInstanceUID, patientID: 'P2' })
    await using server = await PlayServer.start([
      answers(202, { stored: uids, failed: [[sopInstanceUID, 0x0111]] }),
    ])
    const { outcomes } = await sendFolder([folder.path], server.base, { handling: 'lenient' })
    expect(outcomes[0]).toMatchObject({
      stored: { length: 1 },
      refused: [{ failureReason: 0x0111 }],
    })
    expect(outcomes[0]?.failure).toBeUndefined()
  })

  test('a part that the server cannot name is told by its reason', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 2)
    await using server = await PlayServer.start([
      answers(202, { stored: uids.slice(0, 1), others: [0xc000] }),
    ])
    const { outcomes } = await sendFolder([folder.path], server.base, { handling: 'lenient' })
    expect(outcomes[0]?.refused).toEqual([
      { path: `${folder.path}/a-1.dcm`, failureReason: 0xc000 },
    ])
  })

  test.each([
    [401, /--header 'Authorization/],
    [404, /write the DICOMweb base after --to, such as http:\/\/127\.0\.0\.1:\d+\/dicom-web/],
    [415, /multipart\/related/],
  ])('%i ends the sending, for no other study would fare better', async (status, advice) => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    await folder.putStudy('b', 1)
    await using server = await PlayServer.start([says(status)])
    const { outcomes, summary } = await sendFolder([folder.path], server.base)
    expect(outcomes.map((outcome) => outcome.state)).toEqual(['incomplete', 'untried'])
    expect(outcomes[0]?.failure).toMatch(advice)
    expect(summary).toContain('stored    0 of 2 studies')
    expect(server.requests.length).toBe(1)
  })

  test('507 says that the storage is full, and is not tried again', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    await using server = await PlayServer.start([says(507, { 'retry-after': '1' })])
    const { outcomes, waitsMs } = await sendFolder([folder.path], server.base)
    expect(outcomes[0]?.failure).toMatch(/storage is full/)
    expect(waitsMs).toEqual([])
  })

  test('a redirection is told and not followed, for the credentials are not for everybody', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    await using server = await PlayServer.start([says(307, { location: 'http://other.test/x' })])
    const { outcomes } = await sendFolder([folder.path], server.base)
    expect(outcomes[0]?.failure).toMatch(/answered 307: it wants the request at http:\/\/other/)
  })

  test('of a body that is no problem detail nothing is printed', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    await using server = await PlayServer.start([
      says(500, { 'content-type': 'text/html' }, '<h1>Doe^Jane</h1>'),
    ])
    const { summary, said } = await sendFolder([folder.path], server.base)
    expect(`${summary}${said}`).not.toContain('Doe')
    expect(summary).toContain('the server answered 500')
  })
})

describe('several studies', () => {
  test('are sent a few at once, and a failed one does not stop the others', async () => {
    await using folder = await temporaryFolder()
    const studies: Awaited<ReturnType<typeof folder.putStudy>>[] = []
    for (let index = 0; index < 6; index++) studies.push(await folder.putStudy(`s${index}`, 1))
    let now = 0
    let most = 0
    await using server = await PlayServer.start([
      async (request, answer, record) => {
        most = Math.max(most, ++now)
        await new Promise((resolve) => setTimeout(resolve, 50))
        now--
        const study = studies.find((one) => request.url?.endsWith(one.studyInstanceUID))
        const isBad = study === studies[2]
        const play = isBad ? says(400) : answers(200, { stored: study?.uids ?? [] })
        await play(request, answer, record)
      },
    ])
    const { outcomes } = await sendFolder([folder.path], server.base, { concurrency: 3 })
    expect(most).toBe(3)
    expect(outcomes.map((outcome) => outcome.state === 'stored')).toEqual([
      true,
      true,
      false,
      true,
      true,
      true,
    ])
  })

  test('an interruption breaks off what is under way and says so of each', async () => {
    await using folder = await temporaryFolder()
    const first = await folder.putStudy('a', 1)
    await folder.putStudy('b', 1)
    await folder.putStudy('c', 1)
    const interruption = new AbortController()
    await using server = await PlayServer.start([
      answers(200, { stored: first.uids }),
      async (_request, _answer, record) => {
        await record()
        interruption.abort()
      },
    ])
    const startedAt = Date.now()
    const { outcomes, summary } = await sendFolder([folder.path], server.base, {
      signal: interruption.signal,
      times: defaultTimes,
    })
    expect(Date.now() - startedAt).toBeLessThan(5000)
    expect(outcomes.map((outcome) => outcome.state)).toEqual(['stored', 'interrupted', 'untried'])
    expect(outcomes[1]?.failure).toMatch(/all of it may be stored, or nothing/)
    expect(summary).toContain('stored    1 of 3 studies, 1 of 3 instances')
    expect(summary).toContain('not sent  2 instances')
  })

  test('an interruption ends a wait as well', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    const interruption = new AbortController()
    await using server = await PlayServer.start([says(503)])
    const { outcomes } = await sendFolder([folder.path], server.base, {
      signal: interruption.signal,
      onWait: () => interruption.abort(),
    })
    expect(outcomes[0]?.state).toBe('interrupted')
  })
})
