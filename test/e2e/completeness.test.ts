import { describe, expect, test } from 'vitest'
import { uniqueUID } from '../support/dicom-file.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'
import { aStudy } from '../support/study.ts'
import { expectProblem } from './dicomweb.ts'

async function completenessOf(server: StowageServer, studyInstanceUID: string) {
  const answer = await fetch(`${server.url}/api/studies/${studyInstanceUID}`)
  return ((await answer.json()) as { completeness: object }).completeness
}

async function toldOf(server: StowageServer, studyInstanceUID: string): Promise<string[]> {
  const query = `type=complete,incomplete&level=study&studyInstanceUID=${studyInstanceUID}`
  const answer = await fetch(`${server.url}/api/changes?${query}`)
  const { changes } = (await answer.json()) as { changes: { type: string; verdict: string }[] }
  return changes.map(({ type, verdict }) => `${type}: ${verdict}`)
}

describe('completeness over HTTP (P5)', () => {
  test('a study declared as 192 that got 43 stays partial through restarts, and is complete with the last one', async () => {
    await using server = await startServer()
    const { studyInstanceUID, files, uids: sopInstanceUIDs } = aStudy(192)
    const studies = `${server.dicomWeb}/studies`
    expect((await stow(studies, files.slice(0, 43))).status).toBe(200)
    const declared = await fetch(`${server.url}/api/studies/${studyInstanceUID}/evidence`, {
      method: 'PUT',
      body: JSON.stringify({ sopInstanceUIDs }),
    })
    expect(declared.status).toBe(200)
    const partial = {
      verdict: 'partial',
      received: 43,
      expected: 192,
      missingCount: 149,
      missing: sopInstanceUIDs.slice(43).sort(),
    }
    expect(await declared.json()).toMatchObject(partial)
    await server.stop()
    await server.start()
    expect(await completenessOf(server, studyInstanceUID)).toMatchObject(partial)
    await server.kill()
    await server.start()
    expect(await completenessOf(server, studyInstanceUID)).toMatchObject(partial)
    expect((await stow(studies, files.slice(43, 191))).status).toBe(200)
    expect(await completenessOf(server, studyInstanceUID)).toMatchObject({ missingCount: 1 })
    expect((await stow(studies, files.slice(191))).status).toBe(200)
    expect(await completenessOf(server, studyInstanceUID)).toMatchObject({ verdict: 'complete' })
    expect(await toldOf(server, studyInstanceUID)).toEqual([
      'incomplete: partial',
      'complete: complete',
    ])
  })

  test.each([
    { size: 'small, in a group', bytes: 2000 },
    { size: 'large, on its own', bytes: 400_000 },
  ])('Study-Instance-Count is recorded with the request: $size', async ({ bytes }) => {
    await using server = await startServer()
    const { studyInstanceUID, files } = aStudy(4, uniqueUID(), uniqueUID(), { pixelBytes: bytes })
    const url = `${server.dicomWeb}/studies/${studyInstanceUID}`
    const headers = { 'study-instance-count': '4' }
    expect((await stow(url, files.slice(0, 3), headers)).status).toBe(200)
    expect(await completenessOf(server, studyInstanceUID)).toMatchObject({
      verdict: 'partial',
      expected: 4,
      evidence: [{ source: 'declared', origin: 'transfer', instanceCount: 4 }],
    })
    expect((await stow(url, files.slice(3), headers)).status).toBe(200)
    expect(await completenessOf(server, studyInstanceUID)).toMatchObject({ verdict: 'complete' })
    // Sent again it changes nothing, and another number contradicts what is here.
    expect((await stow(url, files, headers)).status).toBe(200)
    expect(await toldOf(server, studyInstanceUID)).toEqual([
      'incomplete: partial',
      'complete: complete',
    ])
    const fewer = { 'study-instance-count': '3' }
    expect((await stow(url, files.slice(0, 1), fewer)).status).toBe(200)
    expect(await completenessOf(server, studyInstanceUID)).toMatchObject({ verdict: 'conflict' })
  })

  test('what a refused request declared is not recorded, as nothing of it is', async () => {
    await using server = await startServer()
    const { studyInstanceUID, files } = aStudy(1)
    const url = `${server.dicomWeb}/studies/${studyInstanceUID}`
    const headers = { 'study-instance-count': '2' }
    expect((await stow(url, [...files, new Uint8Array(300)], headers)).status).toBe(409)
    expect((await fetch(`${server.url}/api/studies/${studyInstanceUID}`)).status).toBe(404)
    for (const wrong of ['x', '-1', '1.5', '99999999999']) {
      const answer = await stow(url, files, { 'study-instance-count': wrong })
      expectProblem(answer, 400)
      expect(answer.body.detail).toContain('Study-Instance-Count is no whole number')
    }
    const nowhere = await stow(`${server.dicomWeb}/studies`, files, headers)
    expectProblem(nowhere, 400)
    expect(nowhere.body.detail).toContain('Study-Instance-Count is of one study')
  })

  test('a server that died between two requests left what it was told', async () => {
    await using server = await startServer()
    const studyInstanceUID = uniqueUID()
    const put = await fetch(`${server.url}/api/studies/${studyInstanceUID}/evidence`, {
      method: 'PUT',
      body: JSON.stringify({ instanceCount: 0 }),
    })
    expect(put.status).toBe(200)
    await server.kill()
    await server.start()
    expect(await completenessOf(server, studyInstanceUID)).toMatchObject({
      verdict: 'complete',
      expected: 0,
    })
  })
})
