import { SaxesParser } from 'saxes'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { runtime, type StowageServer, startServer } from '../support/server.ts'
import { readAnswer, sendRaw, stow } from '../support/stow.ts'
import { ctImageStorage, expectProblem } from './dicomweb.ts'

let server: StowageServer
const study = uniqueUID()
const series = uniqueUID()
const instance = uniqueUID()
const transaction = uniqueUID()

beforeAll(async () => {
  server = await startServer()
  const file = dicomFile({
    studyInstanceUID: study,
    seriesInstanceUID: series,
    sopInstanceUID: instance,
    pixelBytes: 4096,
  })
  expect((await stow(`${server.dicomWeb}/studies`, [file])).status).toBe(200)
  const reference = {
    '00081150': { vr: 'UI', Value: [ctImageStorage] },
    '00081155': { vr: 'UI', Value: [instance] },
  }
  const requested = await fetch(`${server.dicomWeb}/commitment-requests/${transaction}`, {
    method: 'POST',
    headers: { 'content-type': 'application/dicom+json' },
    body: JSON.stringify({ '00081199': { vr: 'SQ', Value: [reference] } }),
  })
  expect(requested.status).toBe(200)
  await requested.body?.cancel()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

async function options(accept: string, path = '/dicom-web'): Promise<Response> {
  return fetch(`${server.url}${path}`, { method: 'OPTIONS', headers: { accept } })
}

interface Method {
  name: string
  request: { representation: { mediaType: string }[] }
  response: { representation: { mediaType: string }[] }
}

async function resources(): Promise<{
  base: string
  resource: { path: string; method: Method[] }[]
}> {
  const answer = await options('application/json')
  expect(answer.headers.get('content-type')).toBe('application/json')
  return (await answer.json()).application.resources
}

describe('Retrieve Capabilities (PS3.18 8.9; ST-R6)', () => {
  test('ST-R6: OPTIONS on the base URI answers WADL by default, and JSON when it is asked for', async () => {
    for (const path of ['/dicom-web', '/dicom-web/']) {
      const answer = await options('*/*', path)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toBe('application/vnd.sun.wadl+xml')
      const paths: string[] = []
      const parser = new SaxesParser()
      parser.on('opentag', ({ name, attributes }) => {
        if (name === 'resource') paths.push(attributes.path as string)
        if (name === 'resources') expect(attributes.base).toBe(server.dicomWeb)
      })
      parser.write(await answer.text()).close()
      const { base, resource } = await resources()
      expect(base).toBe(server.dicomWeb)
      expect(paths).toEqual(resource.map((one) => one.path))
      expect(paths).toContain('studies/{study}/series/{series}/instances/{instance}')
    }
  })

  test('ST-R6: every resource is there, and answers in each type that is told of it', async () => {
    const { resource } = await resources()
    let count = 0
    for (const { path, method } of resource) {
      const get = method.find(({ name }) => name === 'GET')
      for (const { mediaType } of get?.response.representation ?? []) {
        const url = await urlOf(path)
        const answer = await fetch(url, { headers: { accept: mediaType } })
        expect(answer.status, `${path} as ${mediaType}`).toBe(200)
        expect(answer.headers.get('content-type')).toContain(mediaType.split(';')[0])
        await answer.body?.cancel()
        count++
      }
    }
    expect(count).toBeGreaterThan(30)
  })

  test('ST-R6: every type that Store is told to take is one that it does not refuse', async () => {
    const { resource } = await resources()
    const store = resource.find(({ path }) => path === 'studies')?.method
    const taken = store?.find(({ name }) => name === 'POST')?.request.representation ?? []
    expect(taken).toHaveLength(6)
    for (const { mediaType } of taken) {
      const type = mediaType.startsWith('multipart') ? `${mediaType}; boundary=b` : mediaType
      const headers = { 'content-type': type }
      const answer = await fetch(`${server.dicomWeb}/studies`, {
        method: 'POST',
        headers,
        body: 'x',
      })
      // Bad content, and not a bad type.
      expect([400, 409], mediaType).toContain(answer.status)
      await answer.body?.cancel()
    }
  })

  test('what Accept lists and there is not is 406; another method is 405', async () => {
    expectProblem(await readAnswer(await options('text/html')), 406)
    const got = await readAnswer(await fetch(server.dicomWeb))
    expectProblem(got, 405)
    expect(got.headers.get('allow')).toBe('OPTIONS')
  })

  test('OPTIONS on any other resource tells its methods; where there is none, it is 404', async () => {
    const answer = await options('*/*', '/dicom-web/studies')
    expect(answer.status).toBe(204)
    expect(answer.headers.get('allow')).toBe('GET, HEAD, POST')
    expectProblem(await readAnswer(await options('*/*', '/dicom-web/nothing')), 404)
  })

  // Bun answers it with 400 before we hear of it.
  test.skipIf(runtime === 'bun')(
    'OPTIONS * tells the methods of the server as a whole (RFC 9110 9.3.7)',
    async () => {
      const head = 'OPTIONS * HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n'
      const answer = await sendRaw(server.port, Buffer.from(head), 'wait')
      expect(answer).toMatch(/^HTTP\/1\.1 204 /)
      expect(answer).toMatch(/^allow: .*GET, HEAD, OPTIONS, .*POST/im)
    },
  )

  async function urlOf(path: string): Promise<string> {
    if (path.includes('bulkdata/')) {
      const metadata = `${server.dicomWeb}/studies/${study}/metadata`
      const [json] = await (await fetch(metadata)).json()
      return json['7FE00010'].BulkDataURI
    }
    const filled = path
      .replace('{study}', study)
      .replace('{series}', series)
      .replace('{instance}', instance)
      .replace('{list}', '1')
      .replace('{transaction}', transaction)
    return `${server.dicomWeb}/${filled}`
  }
})
