import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort, type StowageServer, startServer } from '../support/server.ts'
import { expectProblem } from './dicomweb.ts'

interface FoundStudy {
  uid: string
  patient: string
  instances: number
}

async function studiesOf(server: StowageServer): Promise<FoundStudy[]> {
  const answer = await fetch(`${server.dicomWeb}/studies`)
  if (answer.status === 204) return []
  // biome-ignore lint/suspicious/noExplicitAny: DICOM JSON
  return ((await answer.json()) as any[])
    .map((study) => ({
      uid: study['0020000D'].Value[0],
      patient: study['00100020'].Value[0],
      instances: study['00201208'].Value[0],
    }))
    .sort((a, b) => a.patient.localeCompare(b.patient))
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of the API
async function read(server: StowageServer, path: string): Promise<any> {
  return (await fetch(`${server.url}${path}`)).json()
}

describe('stowage demo', () => {
  let server: StowageServer

  beforeAll(async () => {
    server = await startServer()
  })

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test('sends a whole CT, a loop, an incomplete study and one with a refused instance', async () => {
    const { code, stdout, stderr } = await server.run('demo', '--url', server.url, '--fast')
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain('11 stored, 1 refused, as it should be')
    const studies = await studiesOf(server)
    expect(studies.map(({ patient, instances }) => [patient, instances])).toEqual([
      ['DEMO-1', 100],
      ['DEMO-2', 1],
      ['DEMO-3', 32],
      ['DEMO-4', 11],
    ])
    const incomplete = await read(server, `/api/studies/${studies[2]?.uid}`)
    expect(incomplete.completeness).toMatchObject({
      verdict: 'partial',
      received: 32,
      expected: 40,
    })
    const { transfers } = await read(server, '/api/transfers')
    expect(transfers).toHaveLength(4)
    const counts = transfers.map((one: { refusedCount: number }) => one.refusedCount)
    expect(counts.sort()).toEqual([0, 0, 0, 1])
    expect(transfers[0].senderProduct).toMatch(/^stowage-demo\//)
  })

  test('says that they are there when it comes again, and sends others when it is asked to', async () => {
    const again = await server.run('demo', '--url', `${server.url}/`, '--fast')
    expect(again.code).toBe(0)
    expect(again.stdout.match(/is there already/g)).toHaveLength(4)
    expect((await read(server, '/api/transfers')).transfers).toHaveLength(4)
    const other = await server.run('demo', '--url', server.url, '--fast', '--new')
    expect(other.code).toBe(0)
    expect(await studiesOf(server)).toHaveLength(8)
  })

  test('shows pictures of slices and of the loop (WA-R6)', async () => {
    for (const { uid } of (await studiesOf(server)).slice(0, 4)) {
      const answer = await fetch(`${server.dicomWeb}/studies/${uid}/instances?limit=1`)
      // biome-ignore lint/suspicious/noExplicitAny: DICOM JSON
      const [instance] = (await answer.json()) as any[]
      const picture = await fetch(`${instance['00081190'].Value[0]}/rendered`)
      expect([picture.status, picture.headers.get('content-type')]).toEqual([
        200,
        expect.stringMatching(/^image\//),
      ])
      await picture.body?.cancel()
    }
  })

  test('tells who is not there, and what is wrong with its arguments', async () => {
    const nowhere = `http://127.0.0.1:${await freePort()}`
    const away = await server.run('demo', '--url', nowhere, '--fast')
    expect([away.code, away.stdout]).toEqual([1, ''])
    expect(away.stderr).toMatch(
      // Under Deno an error of fetch has no code.
      /^stowage: Cannot send the demonstration: http:\S+ cannot be reached: (nobody listens there|.*error.*); start the server, .* --url\n$/,
    )
    expect(away.stderr).toContain(nowhere)
    // Where fetch would not go at all.
    const barred = await server.run('demo', '--url', 'http://127.0.0.1:1', '--fast')
    expect([barred.code, barred.stderr]).toEqual([1, expect.stringContaining('cannot be reached:')])
    expect(barred.stderr).not.toContain('fetch failed')
    const wrong = await server.run('demo', '--url', 'ftp://h')
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toContain('write the server after --url')
    const help = await server.run('demo', '--help')
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining('--new')])
  })

  test('is not sent by the button among studies that are there', async () => {
    expectProblem(
      await fetch(`${server.url}/api/demo`, { method: 'POST' }).then(async (answer) => ({
        status: answer.status,
        headers: answer.headers,
        body: await answer.json(),
      })),
      409,
    )
  })
})

test('POST /api/demo sends it to the server itself, so slowly that one can watch, once', async () => {
  await using server = await startServer()
  const ask = (headers = {}) =>
    fetch(`${server.url}/api/demo`, { method: 'POST', headers, redirect: 'manual' })
  expect((await ask({ origin: 'http://elsewhere.example' })).status).toBe(403)
  const answer = await ask({ accept: 'text/html', origin: server.url })
  const ledTo = new URL(answer.headers.get('location') ?? '', `${server.url}/api/demo`)
  expect([answer.status, ledTo.href]).toEqual([303, `${server.url}/`])
  expect((await ask()).status).toBe(409)
  await server.until(async () => {
    const { transfers } = await read(server, '/api/transfers?state=receiving')
    return transfers.some((one: { receivedBytes: number }) => one.receivedBytes > 0)
  })
  await server.until(async () => (await studiesOf(server)).length > 0)
  // In the middle of it: it ends the sending to itself, and leaves nothing half behind.
  await server.stop()
  expect(server.log).not.toMatch(/ error /)
})

test('an archive that asks for credentials has the demonstration, too', async () => {
  await using server = await startServer()
  const { stdout } = await server.run('token', 'create', '--name', 'op', '--role', 'operator')
  const headers = { authorization: `Bearer ${stdout.trim()}` }
  const ask = (init = {}) => fetch(`${server.url}/api/demo`, { method: 'POST', ...init })
  await server.until(async () => (await ask()).status === 401)
  expect((await ask({ headers })).status).toBe(202)
  await server.until(async () => {
    const answer = await fetch(`${server.url}/api/transfers`, { headers })
    const { transfers } = (await answer.json()) as { transfers: { sentBy: string }[] }
    return transfers.some(({ sentBy }) => sentBy === 'server:demo')
  })
  await server.stop()
  const fast = ['demo', '--url', server.url, '--fast', '--header']
  await server.start()
  const { code } = await server.run(...fast, `Authorization: ${headers.authorization}`)
  expect(code).toBe(0)
  expect((await server.run(...fast, 'Authorization: Bearer no')).code).toBe(1)
})
