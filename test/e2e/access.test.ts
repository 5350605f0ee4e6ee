import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { dicomFile } from '../support/dicom-file.ts'
import { Issuer } from '../support/issuer.ts'
import { runtime, type StowageServer, startServer } from '../support/server.ts'

function store(server: StowageServer, token?: string): Promise<Response> {
  return fetch(`${server.dicomWeb}/studies`, {
    method: 'POST',
    headers: {
      'content-type': 'application/dicom',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: dicomFile() as Uint8Array<ArrayBuffer>,
  })
}

test('a fresh server asks for nothing and says so; the first token closes it, a revoked one is refused', async () => {
  await using server = await startServer()
  expect(server.log).toContain('No credentials are set up')
  expect((await store(server)).status).toBe(200)

  const made = await server.run(
    'token',
    'create',
    '--name',
    'ct-2',
    '--role',
    'sender',
    '--expires',
    '90d',
  )
  expect(made.stderr).toBe('')
  const token = made.stdout.trim()
  expect(token).toMatch(/^stowage_[\w-]{43}$/)
  await server.until(async () => (await store(server)).status === 401)
  expect((await store(server, token)).status).toBe(200)
  const search = { headers: { authorization: `Bearer ${token}` } }
  expect((await fetch(`${server.dicomWeb}/studies`, search)).status).toBe(403)

  const again = await server.run('token', 'create', '--name', 'ct-2', '--role', 'sender')
  expect(again.code).toBe(1)
  expect(again.stderr).toContain('revoke that first')
  expect((await server.run('token', 'list')).stdout).toMatch(
    /^ct-2 {2}sender {2}made .* last used .* expires /,
  )
  expect((await server.run('token', 'revoke', 'ct-2')).stdout).toBe('revoked ct-2\n')
  await server.until(async () => (await store(server, token)).status === 401)
  expect(server.log).not.toContain(token)
})

test('a password is read from standard input, and opens the page', async () => {
  await using server = await startServer()
  const { code, stdout } = await setPassword(server, ['ann'])
  expect([code, stdout]).toEqual([0, 'ann may sign in, as admin\n'])
  await server.until(async () => (await fetch(`${server.url}/api/transfers`)).status === 401)
  const answer = await fetch(`${server.url}/login`, {
    method: 'POST',
    redirect: 'manual',
    body: new URLSearchParams({ name: 'ann', password: 'correct horse battery staple' }),
  })
  expect(answer.status).toBe(303)
  const cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] as string
  expect((await fetch(`${server.url}/health`, { headers: { cookie } })).status).toBe(200)
})

test('another password leaves somebody the roles that he has', async () => {
  await using server = await startServer()
  await setPassword(server, ['rob', '--role', 'reader'])
  const reset = await setPassword(server, ['rob'])
  expect([reset.code, reset.stdout]).toEqual([0, 'rob may sign in, as reader\n'])
  const promoted = await setPassword(server, ['rob', '--role', 'sender,reader'])
  expect(promoted.stdout).toBe('rob may sign in, as sender, reader\n')
})

test('whoever has no roles yet is given none silently, but for the first of an archive', async () => {
  await using server = await startServer()
  expect((await setPassword(server, ['ann'])).stdout).toBe('ann may sign in, as admin\n')
  const unnamed = await setPassword(server, ['eve'])
  expect([unnamed.code, unnamed.stdout]).toEqual([2, ''])
  expect(unnamed.stderr).toMatch(/"eve" has no roles yet; .* --role .*sender, reader, operator/)
  // Whoever was shut out comes back as what somebody says, not as what he was.
  await server.run('password', 'ann', '--remove')
  const back = await setPassword(server, ['ann'])
  expect([back.code, back.stdout]).toEqual([2, ''])
})

test('a public address without credentials is refused, with the sentence that mends it', async () => {
  await using server = await startServer()
  await server.stop()
  const env = { ...server.env, STOWAGE_HOST: '0.0.0.0' }
  const refused = await runWith(env, 'serve')
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(
    /Cannot listen on 0\.0\.0\.0: no credentials are set up.*stowage token create.*STOWAGE_ALLOW_ANYONE=on/,
  )
  await using open = await startServer({
    env: { STOWAGE_HOST: '0.0.0.0', STOWAGE_ALLOW_ANYONE: 'on' },
  })
  expect((await store(open)).status).toBe(200)
})

test('tokens of an OpenID Connect provider are taken for the roles that they name', async () => {
  const issuer = await new Issuer().start()
  try {
    await using server = await startServer({ env: { STOWAGE_OIDC_ISSUER: issuer.url } })
    expect(server.log).not.toContain('No credentials are set up')
    expect((await store(server)).status).toBe(401)
    expect((await store(server, await issuer.token({ roles: ['reader'] }))).status).toBe(403)
    expect((await store(server, await issuer.token({ roles: ['stowage-sender'] }))).status).toBe(
      200,
    )
    expect((await store(server, await issuer.token({ aud: 'another' }))).status).toBe(401)
    await issuer.rotate('second')
    const admin = await issuer.token({ roles: 'admin' })
    await server.until(async () => (await store(server, admin)).status === 200)
  } finally {
    await issuer.stop()
  }
})

test('a stream that is open ends when its token is revoked', async () => {
  await using server = await startServer()
  const { stdout } = await server.run('token', 'create', '--name', 'viewer', '--role', 'reader')
  await server.until(async () => (await store(server)).status === 401)
  const headers = { authorization: `Bearer ${stdout.trim()}` }
  const answer = await fetch(`${server.url}/live/studies`, { headers })
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
  expect(new TextDecoder().decode((await reader.read()).value)).toContain('data:')
  await server.run('token', 'revoke', 'viewer')
  for (let piece = await reader.read(); !piece.done; ) piece = await reader.read()
  expect((await fetch(`${server.url}/live/studies`, { headers })).status).toBe(401)
})

test('whoever may not send is answered before 100 Continue, and while the body is on its way', async () => {
  await using server = await startServer()
  await server.run('token', 'create', '--name', 'x', '--role', 'admin')
  await server.until(async () => (await store(server)).status === 401)
  const head = `POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\nContent-Length: 1000000000\r\n`
  const expecting = await exchange(server.port, `${head}Expect: 100-continue\r\n\r\n`)
  expect(expecting).toMatch(/^HTTP\/1\.1 401 /)
  expect(await exchange(server.port, `${head}\r\n${'x'.repeat(100_000)}`)).toMatch(
    /^HTTP\/1\.1 401 /,
  )
})

/** Sends text over a connection. @returns what came back first */
async function exchange(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(text)
  const [first] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return first.toString()
}

const commands = {
  node: [process.execPath, 'bin/stowage.mjs'],
  bun: ['bun', 'server/main.bun.ts'],
  deno: ['deno', 'run', '--allow-all', 'server/main.deno.ts'],
}

async function runWith(env: NodeJS.ProcessEnv, ...args: string[]) {
  const [command, ...rest] = [...commands[runtime], ...args] as [string, ...string[]]
  const child = spawn(command, rest, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [code] = await once(child, 'close')
  return { code, stderr }
}

async function setPassword(
  server: StowageServer,
  args: string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [command, ...rest] = commands[runtime] as [string, ...string[]]
  const child = spawn(command, [...rest, 'password', ...args], { env: server.env })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  // One that is refused does not read it.
  child.stdin.on('error', () => {})
  child.stdin.end('correct horse battery staple\n')
  const [code] = await once(child, 'close')
  return { code: code as number, stdout, stderr }
}
