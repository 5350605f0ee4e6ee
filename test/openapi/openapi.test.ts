import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { apiPaths, openAPIDocument } from '../../server/openapi/document.ts'
import type { Operation } from '../../server/openapi/parts.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { type TestApp, testApp } from '../web/app.ts'

let server: TestApp

beforeAll(async () => {
  server = await testApp()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

type Method = 'get' | 'put' | 'post' | 'patch' | 'delete'
const methods: Method[] = ['get', 'put', 'post', 'patch', 'delete']

function operations(): string[] {
  return Object.entries(apiPaths).flatMap(([path, item]) =>
    methods.filter((method) => item[method] !== undefined).map((method) => `${method} ${path}`),
  )
}

const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
ajv.addSchema(openAPIDocument('http://localhost'), 'openapi')
const validators = new Map<string, ValidateFunction>()

/** Judges a value by a schema of the document, which stands at this place in it. */
function expectToFit(place: string[], value: unknown): void {
  const pointer = place
    .map((step) => encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1')))
    .join('/')
  const schema = validators.get(pointer) ?? ajv.compile({ $ref: `openapi#/${pointer}` })
  validators.set(pointer, schema)
  expect(schema(value) ? [] : schema.errors, place.join(' ')).toEqual([])
}

const asked = new Set<string>()

/** Asks the server, and sees whether question and answer are what the document says. */
// biome-ignore lint/suspicious/noExplicitAny: answers of any shape
async function ask(operation: string, parameters: string[] = [], body?: unknown): Promise<any> {
  const [method, template] = operation.split(' ') as [Method, string]
  const values = [...parameters]
  const path = template.replaceAll(/\{\w+\}/g, () => values.shift() as string)
  const described = apiPaths[template]?.[method] as Operation
  if (body !== undefined) {
    const place = ['requestBody', 'content', 'application/json', 'schema']
    expectToFit(['paths', template, method, ...place], body)
  }
  const answer = await server.app.request(path + (values[0] ?? ''), {
    method: method.toUpperCase(),
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  const { status } = answer
  expect(Object.keys(described.responses), `${operation} was answered ${status}`).toContain(
    String(status),
  )
  if (status < 300) asked.add(operation)
  const text = await answer.text()
  const content = described.responses[status]?.content as Record<string, unknown> | undefined
  if (content === undefined) {
    expect(text).toBe('')
    return undefined
  }
  const type = answer.headers.get('content-type')?.split(';')[0] as string
  const place = ['responses', String(status), 'content', type, 'schema']
  expectToFit(['paths', template, method, ...place], JSON.parse(text))
  return JSON.parse(text)
}

async function firstInstanceOf(studyInstanceUID: string): Promise<{ retrieveURL: string }> {
  const answer = await server.app.request(`/dicom-web/studies/${studyInstanceUID}/instances`)
  const [instance] = (await answer.json()) as Record<string, { Value: string[] }>[]
  return { retrieveURL: instance?.['00081190']?.Value[0] as string }
}

describe('/api/openapi.json', () => {
  test('is a valid document of OpenAPI 3.1', async () => {
    const answer = await server.app.request('/api/openapi.json')
    const { valid, errors } = await new Validator().validate(await answer.json())
    expect(errors).toBeUndefined()
    expect(valid).toBe(true)
  })

  test('describes every operation that the server has below /api, and no other', () => {
    const served = server.app.routes
      .filter(({ method, path }) => method !== 'ALL' && path.startsWith('/api/'))
      .map(({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
      .filter((operation) => operation !== 'get /api/openapi.json')
    expect(operations().sort()).toEqual([...new Set(served)].sort())
  })

  test('says of every operation what it is answered', async () => {
    await ask('post /api/demo')
    await ask('post /api/demo')
    const studyInstanceUID = uniqueUID()
    const files = [dicomFile({ studyInstanceUID }), new Uint8Array(300)]
    await server.send(files, { handling: 'lenient' })

    const { transfers } = await ask('get /api/transfers')
    await ask('get /api/transfers', ['?state=no'])
    await ask('get /api/transfers/{transfer}', [transfers[0].transferID])
    await ask('get /api/transfers/{transfer}', ['no'])
    await ask('get /api/studies/{study}', [studyInstanceUID])
    await ask('get /api/studies/{study}', ['1.2.3'])
    const evidence = '/api/studies/{study}/evidence'
    await ask(`put ${evidence}`, [studyInstanceUID], { instanceCount: 2 })
    await ask(`put ${evidence}`, [studyInstanceUID], { sopInstanceUIDs: ['1.2', '1.3'] })
    await ask(`put ${evidence}`, [uniqueUID()], {
      series: [{ seriesInstanceUID: uniqueUID(), instanceCount: 2 }],
    })
    await ask(`get ${evidence}`, [studyInstanceUID])
    await ask(`post ${evidence}/ask`, [studyInstanceUID])
    await ask('get /api/studies/{study}', [studyInstanceUID])
    await ask('get /api/studies/{study}/missing', [studyInstanceUID, '?limit=1'])
    await ask('get /api/studies/{study}/missing', [studyInstanceUID, '?limit=x'])
    await ask(`delete ${evidence}`, [studyInstanceUID])
    await ask(`delete ${evidence}`, [studyInstanceUID])
    await ask('post /api/studies/{study}/settle', [studyInstanceUID])
    await ask('post /api/studies/{study}/reopen', [studyInstanceUID])

    await ask('post /api/studies/{study}/verify', [studyInstanceUID])
    await ask('post /api/studies/{study}/verify', ['1.2.3'])
    const transaction = uniqueUID()
    const reference = {
      '00081150': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
      '00081155': { vr: 'UI', Value: [uniqueUID()] },
    }
    const requested = await server.app.request(`/dicom-web/commitment-requests/${transaction}`, {
      method: 'POST',
      headers: { 'content-type': 'application/dicom+json' },
      body: JSON.stringify({ '00081199': { vr: 'SQ', Value: [reference] } }),
    })
    expect(requested.status).toBe(200)
    await ask('get /api/commitments')
    await ask('get /api/commitments', ['?state=no'])
    const told = await ask('get /api/commitments/{transaction}', [transaction])
    expect(told.failures).toHaveLength(1)
    await ask('get /api/commitments/{transaction}', [uniqueUID()])

    const { changes } = await ask('get /api/changes')
    expect(changes.length).toBeGreaterThan(3)
    await ask('get /api/changes', ['?limit=no'])
    await ask('put /api/consumers/{name}', ['me'], { acknowledged: 1 })
    await ask('get /api/consumers')
    await ask('delete /api/consumers/{name}', ['me'])
    await ask('delete /api/consumers/{name}', ['me'])
    const { rules } = await ask('get /api/quiet-rules')
    await ask('put /api/quiet-rules', [], {
      rules: [{ modality: 'CT', quietSeconds: 5 }, ...rules],
    })

    const webhook = await ask('post /api/webhooks', [], {
      url: 'https://example.com/hook',
      types: ['stable'],
    })
    const id = webhook.webhookID
    await ask('get /api/webhooks')
    await ask('get /api/webhooks/{webhook}', [id])
    await ask('patch /api/webhooks/{webhook}', [id], { types: null, paused: true })
    await server.db.sql`
      insert into webhook_deliveries (webhook_id, seq, subject, state, attempts, last_attempt_at, last_status, last_error)
      values (${id}, 1, 'a', 'dead', 3, now(), 500, 'It answered 500'), (${id}, 2, 'b', 'dead', 3, now(), null, null)`
    await ask('post /api/webhooks/{webhook}/secret', [id], { oldSeconds: 60 })
    await ask('get /api/webhooks/{webhook}/deliveries', [id])
    await ask('delete /api/webhooks/{webhook}/deliveries/{seq}', [id, '2'])
    await ask('post /api/webhooks/{webhook}/deliveries/{seq}/resend', [id, '1'])
    await ask('post /api/webhooks/{webhook}/resend', [id])
    await ask('delete /api/webhooks/{webhook}', [id])

    const path = new URL((await firstInstanceOf(studyInstanceUID)).retrieveURL).pathname
    const gone = await server.app.request(path, { method: 'DELETE', body: '{"reason":"Blurred"}' })
    expect(await gone.text(), path).toContain('Blurred')
    await ask('get /api/audit', ['?limit=5'])
    await ask('get /api/audit', ['?action=none'])
    const { deletions } = await ask('get /api/deletions')
    await ask('get /api/deletions', ['?limit=no'])
    await ask('get /api/deletions/{deletion}', [String(deletions[0].deletion)])
    await ask('get /api/deletions/{deletion}', ['no'])
    await ask('get /api/studies/{study}', [studyInstanceUID])
    const uids = path.split('/').filter((part) => /^[\d.]+$/.test(part))
    const resource = '/api/studies/{study}'
    const within = [
      `${resource}/series/{series}`,
      `${resource}/series/{series}/instances/{instance}`,
    ]
    for (const [index, one] of [resource, ...within].entries()) {
      await ask(`post ${one}/allow-resend`, uids.slice(0, index + 1))
    }
    await ask(`post ${resource}/allow-resend`, ['1.2.3'])

    expect([...asked].sort()).toEqual(operations().sort())
  })
})
