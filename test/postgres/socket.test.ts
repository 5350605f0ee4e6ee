import { randomUUID } from 'node:crypto'
import { mkdir, rmdir, stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { chooseAccount } from '../../server/postgres/account.ts'
import { ensureSocketFolder, SocketFolderError } from '../../server/postgres/socket.ts'
import { parseSocketURL } from '../../server/postgres/socket-url.ts'

test('the folder of the socket is the same at each start, and its account alone can enter it', async () => {
  const account = await chooseAccount()
  const cluster = `/srv/${randomUUID()}`
  const folders = await Promise.all([1, 2, 3].map(() => ensureSocketFolder(cluster, account)))
  expect(new Set(folders).size).toBe(1)
  const [folder = ''] = folders
  const facts = await stat(folder)
  expect([facts.uid, facts.mode & 0o777]).toEqual([account.uid, 0o700])
  // With the name of the socket it has to stay below 104 bytes (macOS).
  expect(folder.length).toBeLessThan(85)
  await rmdir(folder)
})

test('a folder of that name that others can enter is refused', async () => {
  const account = await chooseAccount()
  const cluster = `/srv/${randomUUID()}`
  const folder = await ensureSocketFolder(cluster, account)
  await rmdir(folder)
  await mkdir(folder, { mode: 0o755 })
  const attempt = ensureSocketFolder(cluster, account)
  await expect(attempt).rejects.toThrow(SocketFolderError)
  await expect(attempt).rejects.toThrow(/remove it or set TMPDIR/)
  await rmdir(folder)
})

test('a URL of the form that psql takes for a socket is understood', async () => {
  expect(await parseSocketURL('postgresql://some%20one@/data?host=%2Frun%2Fpg&port=5433')).toEqual({
    host: '/run/pg',
    port: 5433,
    database: 'data',
    username: 'some one',
  })
  expect(await parseSocketURL('postgres://one:secret@localhost/data?host=/run/pg')).toMatchObject({
    username: 'one',
    password: 'secret',
  })
  expect(await parseSocketURL('postgresql://one@db:5432/data?sslmode=require')).toBeUndefined()
})
