import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { type StowageServer, startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'
import { aStudy } from '../support/study.ts'

interface Completeness {
  verdict: string
  missing: string[]
  evidence: { source: string; detail?: string; instanceCount?: number; claimedBy?: string }[]
}

async function completenessOf(server: StowageServer, uid: string): Promise<Completeness> {
  const answer = await fetch(`${server.url}/api/studies/${uid}`)
  return ((await answer.json()) as { completeness: Completeness }).completeness
}

const askingPeer = (url: string, more = {}) =>
  startServer({ env: { STOWAGE_PEER_URL: url, STOWAGE_QUIET_SECONDS: '1', ...more } })

describe('a peer that is asked (P5)', () => {
  test('another Stowage tells after the quiet time what it has, once; and again on demand', async () => {
    await using peer = await startServer()
    await using server = await askingPeer(peer.dicomWeb)
    const study = aStudy(5)
    await stow(`${peer.dicomWeb}/studies`, study.files)
    await stow(`${server.dicomWeb}/studies`, study.files.slice(0, 3))
    await server.until(
      async () => (await completenessOf(server, study.studyInstanceUID)).verdict === 'partial',
    )
    expect(await completenessOf(server, study.studyInstanceUID)).toMatchObject({
      missing: study.uids.slice(3).sort(),
      evidence: [{ source: 'peer', instanceCount: 5, claimedBy: peer.dicomWeb }],
    })
    await stow(`${server.dicomWeb}/studies`, study.files.slice(3))
    expect(await completenessOf(server, study.studyInstanceUID)).toMatchObject({
      verdict: 'complete',
    })
    // Meanwhile it got another one.
    const { studyInstanceUID, seriesInstanceUID } = study
    const more = aStudy(1, seriesInstanceUID, studyInstanceUID)
    await stow(`${peer.dicomWeb}/studies`, more.files)
    const path = `${server.url}/api/studies/${studyInstanceUID}/evidence/ask`
    const asked = await fetch(path, { method: 'POST' })
    expect(asked.status).toBe(200)
    expect(await asked.json()).toMatchObject({ verdict: 'partial', missing: more.uids })
  })

  test('one that fails, is late, or does not have the study says nothing, and that is shown', async () => {
    const asked: string[] = []
    let answer: (url: string) => { status: number; body?: string } | undefined = () => undefined
    const peer: Server = createServer((request, response) => {
      asked.push(request.headers.authorization ?? '')
      const given = answer(request.url as string)
      if (given === undefined) return
      response.writeHead(given.status, { 'content-type': 'application/dicom+json' })
      response.end(given.body)
    }).listen(0, '127.0.0.1')
    await once(peer, 'listening')
    const { port } = peer.address() as AddressInfo
    await using server = await askingPeer(`http://127.0.0.1:${port}/dicom-web`, {
      STOWAGE_PEER_TOKEN: 'abc.def',
      STOWAGE_PEER_TIMEOUT_SECONDS: '0.5',
    })
    const study = aStudy(1)
    answer = () => ({ status: 503 })
    await stow(`${server.dicomWeb}/studies`, study.files)
    const detail = async () =>
      (await completenessOf(server, study.studyInstanceUID)).evidence[0]?.detail
    await server.until(async () => (await detail()) === 'It answered 503')
    expect(asked).toEqual(['Bearer abc.def'])
    const path = `${server.url}/api/studies/${study.studyInstanceUID}/evidence/ask`
    for (const [given, said] of [
      [() => undefined, 'No answer within 0.5 s'],
      [() => ({ status: 204 }), 'It does not have this study'],
      [() => ({ status: 200, body: '<html>' }), 'Its answer is no DICOM JSON'],
      [
        () => ({ status: 200, body: '[{"00080018":{"vr":"UI"}}]' }),
        'Its answer has instances without a SOP Instance UID',
      ],
    ] as [typeof answer, string][]) {
      answer = given
      await fetch(path, { method: 'POST' })
      expect(await detail()).toBe(said)
      expect(await completenessOf(server, study.studyInstanceUID)).toMatchObject({
        verdict: 'unknown',
      })
    }
    peer.closeAllConnections()
    peer.close()
    await once(peer, 'close')
    await fetch(path, { method: 'POST' })
    expect(await detail()).toBe('No answer')
  })

  test('nobody is asked where nobody is configured', async () => {
    await using server = await startServer()
    const answer = await fetch(`${server.url}/api/studies/1.2.3/evidence/ask`, { method: 'POST' })
    expect(answer.status).toBe(409)
    expect(((await answer.json()) as { detail: string }).detail).toContain('STOWAGE_PEER_URL')
  })
})
