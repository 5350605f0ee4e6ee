import { expect, test } from 'vitest'
import { listTokens, revokeToken } from '../../db/access.ts'
import { Credentials } from '../../server/access/credentials.ts'
import { digestOf, newToken } from '../../server/access/secrets.ts'
import { toProblem } from '../../server/errors.ts'
import { silentLog } from '../../server/log.ts'
import { dicomFile } from '../support/dicom-file.ts'
import type { TestApp } from '../web/app.ts'
import { bearer, giveToken, testApp } from './archive.ts'

test('an archive without credentials asks for none, until the first token is made', async () => {
  await using archive = await testApp()
  expect((await archive.app.request('/api/transfers')).status).toBe(200)
  await giveToken(archive, 'first', ['admin'])
  await expect.poll(async () => (await archive.app.request('/api/transfers')).status).toBe(401)
})

test('and never is open again: not when all tokens are revoked', async () => {
  await using archive = await testApp()
  await giveToken(archive, 'only', ['admin'])
  await revokeToken(archive.db, 'only')
  await archive.credentials.refresh()
  for (const method of ['GET', 'HEAD']) {
    expect((await archive.app.request('/api/transfers', { method })).status).toBe(401)
  }
})

test('a token that was used is refused as soon as it is revoked, on every server', async () => {
  await using archive = await testApp()
  await using other = await startCredentials(archive)
  const token = await giveToken(archive, 'ct-2', ['sender'])
  await expect.poll(() => other.credentials.ofToken(token)).toMatchObject({ name: 'token:ct-2' })
  await revokeToken(archive.db, 'ct-2')
  // By the notice: what was read is believed for longer than this waits.
  await expect.poll(() => other.credentials.ofToken(token), { timeout: 3000 }).toBeUndefined()
})

test('a token that is used a thousand times is looked up once, and noted once', async () => {
  await using archive = await testApp()
  const token = await giveToken(archive, 'ct-2', ['sender'])
  const { credentials, database } = watched(archive)
  for (let n = 0; n < 1000; n++) await credentials.ofToken(token)
  expect(database.queries).toBe(2)
  await expect.poll(async () => (await listTokens(archive.db))[0]?.lastUsedAt).toBeInstanceOf(Date)
})

test('the database has no token, only its SHA-256', async () => {
  await using archive = await testApp()
  const token = await giveToken(archive, 'ct-2', ['sender'])
  const [row] = await archive.db.sql`select tokens::text as all, digest from tokens`
  expect(row?.all).not.toContain(token.slice(8, 20))
  expect(Buffer.from(row?.digest).equals(digestOf(token))).toBe(true)
})

test('a thousand wrong tokens at once share two looks into the database', async () => {
  await using archive = await testApp()
  await giveToken(archive, 'ct-2', ['sender'])
  const { credentials, database } = watched(archive)
  const wrong = Array.from({ length: 1000 }, newToken)
  const found = await Promise.all(wrong.map((token) => credentials.ofToken(token)))
  expect(found.every((identity) => identity === undefined)).toBe(true)
  expect(database.queries).toBeLessThanOrEqual(2)
})

test('while the database does not answer, what is known holds, and what is not is answered 503', async () => {
  await using archive = await testApp()
  const token = await giveToken(archive, 'ct-2', ['sender'])
  const { credentials, database } = watched(archive)
  await credentials.refresh()
  database.isAway = true
  expect(await credentials.ofToken(token)).toMatchObject({ name: 'token:ct-2' })
  await expect(credentials.ofToken(newToken())).rejects.toSatisfy(
    (error) => toProblem(error)?.status === 503,
  )
  database.isAway = false
  expect(await credentials.ofToken(newToken())).toBeUndefined()
})

test('a token is over when its time is, also while the database does not answer', async () => {
  await using archive = await testApp()
  const token = await giveToken(archive, 'ct-2', ['sender'], new Date(Date.now() + 500))
  const { credentials, database } = watched(archive)
  expect(await credentials.ofToken(token)).toBeDefined()
  database.isAway = true
  await expect.poll(() => credentials.ofToken(token)).toBeUndefined()
})

test('the server has a token for what it sends to itself, until it is done', async () => {
  await using archive = await testApp()
  await giveToken(archive, 'ct-2', ['sender'])
  await archive.credentials.refresh()
  const loan = archive.credentials.lend('demo', ['reader'])
  const ask = () => archive.app.request('/dicom-web/studies', { headers: bearer(loan.token) })
  expect((await ask()).status).toBe(204)
  loan[Symbol.dispose]()
  expect((await ask()).status).toBe(401)
})

test('what is no token of ours is refused without a look into the database', async () => {
  await using archive = await testApp()
  const { credentials, database } = watched(archive)
  database.isAway = true
  for (const text of ['', 'x', `${newToken()}x`, 'stowage_', "' or 1=1 --", 'a.b.c']) {
    expect(await credentials.ofToken(text)).toBeUndefined()
  }
})

test.each([
  ['/live/studies', {}],
  ['/api/changes', { accept: 'text/event-stream' }],
])('the stream of %s ends when its token is revoked, and not before', async (path, accept) => {
  await using archive = await testApp()
  const token = await giveToken(archive, 'viewer', ['reader'])
  await archive.credentials.refresh()
  const left = new AbortController()
  const headers = { ...bearer(token), ...accept }
  const answer = await archive.app.request(path, { headers, signal: left.signal })
  let isOver = false
  const reading = (async () => {
    for await (const _ of answer.body ?? []) {
      // whatever it tells
    }
    isOver = true
  })()
  await giveToken(archive, 'another', ['reader'])
  await archive.credentials.refresh()
  expect(isOver).toBe(false)
  await revokeToken(archive.db, 'viewer')
  await expect.poll(() => isOver, { timeout: 3000 }).toBe(true)
  await reading
  left.abort()
})

test('a sender sees its own transfers, and no others', async () => {
  await using archive = await testApp()
  const [mine, other, operator] = [
    await giveToken(archive, 'ct-2', ['sender']),
    await giveToken(archive, 'mr-1', ['sender']),
    await giveToken(archive, 'op', ['operator']),
  ]
  await archive.credentials.refresh()
  const store = (token: string) =>
    archive.app.request(
      '/dicom-web/studies',
      {
        method: 'POST',
        headers: { ...bearer(token), 'content-type': 'application/dicom' },
        body: dicomFile() as Uint8Array<ArrayBuffer>,
      },
      { address: '10.0.0.1' },
    )
  expect((await store(mine)).status).toBe(200)
  expect((await store(other)).status).toBe(200)
  const list = async (token: string) => {
    const answer = await archive.app.request('/api/transfers', { headers: bearer(token) })
    const { transfers } = (await answer.json()) as {
      transfers: { transferID: string; sentBy: string }[]
    }
    return transfers
  }
  const own = await list(mine)
  expect(own.map(({ sentBy }) => sentBy)).toEqual(['token:ct-2'])
  expect(await list(operator)).toHaveLength(2)
  const path = `/api/transfers/${own[0]?.transferID}`
  expect((await archive.app.request(path, { headers: bearer(mine) })).status).toBe(200)
  expect((await archive.app.request(path, { headers: bearer(other) })).status).toBe(404)
  expect((await archive.app.request(path, { headers: bearer(operator) })).status).toBe(200)
})

test('a request that is refused does not have its body read', async () => {
  await using archive = await testApp()
  await giveToken(archive, 'ct-2', ['sender'])
  await archive.credentials.refresh()
  let isRead = false
  const body = new ReadableStream<Uint8Array>(
    {
      pull() {
        isRead = true
      },
    },
    { highWaterMark: 0 },
  )
  const answer = await archive.app.request('/dicom-web/studies', {
    method: 'POST',
    headers: { 'content-type': 'application/dicom' },
    body,
    duplex: 'half',
  } as RequestInit)
  expect(answer.status).toBe(401)
  expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="Stowage"')
  expect(isRead).toBe(false)
})

async function startCredentials(archive: TestApp) {
  const credentials = new Credentials({ db: archive.db, log: silentLog })
  await credentials.start(archive.db.sql)
  return { credentials, [Symbol.asyncDispose]: () => credentials.stop() }
}

/** Credentials that were not read yet, on a database that counts the queries, and can be away. */
function watched(archive: TestApp) {
  const database = { queries: 0, isAway: false }
  const sql = new Proxy(archive.db.sql, {
    apply(target, self, args) {
      if (database.isAway) {
        return Promise.reject(Object.assign(new Error('away'), { code: 'CONNECTION_CLOSED' }))
      }
      database.queries++
      return Reflect.apply(target, self, args)
    },
  })
  const credentials = new Credentials({ db: { ...archive.db, sql }, log: silentLog })
  return { credentials, database }
}
