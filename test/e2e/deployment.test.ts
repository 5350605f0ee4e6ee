import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { allOf, expectConsistent, seenOf, testStudy } from '../support/archive.ts'
import {
  externalDatabaseURL,
  freePort,
  type StowageServer,
  startServer,
  temporaryFolder,
} from '../support/server.ts'
import { stow } from '../support/stow.ts'

const isRoot = process.getuid?.() === 0

/** A daemon of Debian's with a configuration of its own, in a folder that goes away. */
async function startDaemon(
  command: string,
  args: (folder: string) => string[],
  files: Record<string, string>,
  isUp: () => Promise<boolean>,
): Promise<AsyncDisposable> {
  const folder = await temporaryFolder()
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, name), text.replaceAll('FOLDER', folder))
  }
  await chmod(folder, 0o777)
  const child = spawn(command, args(folder), { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += chunk
  })
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  const ended = once(child, 'exit')
  while (!(await isUp().catch(() => false))) {
    if (child.exitCode !== null) throw new Error(`${command} ended: ${said}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** What every deployment must let through: a study in, found, read, settled, and the feed that says so. */
async function expectToWork(server: StowageServer, origin: string): Promise<void> {
  const study = testStudy(30, 200_000)
  const answer = await stow(`${origin}/dicom-web/studies`, study.files)
  expect(answer.status).toBe(200)
  expect(await seenOf(server, study.studyInstanceUID)).toEqual(allOf(30))
  const found = await fetch(
    `${origin}/dicom-web/studies?StudyInstanceUID=${study.studyInstanceUID}&includefield=00081190`,
  )
  const [first] = (await found.json()) as Record<string, { Value: string[] }>[]
  expect(first?.['00081190']?.Value).toEqual([
    `${origin}/dicom-web/studies/${study.studyInstanceUID}`,
  ])
  const whole = await fetch(`${origin}/dicom-web/studies/${study.studyInstanceUID}`)
  expect((await whole.arrayBuffer()).byteLength).toBeGreaterThan(30 * 200_000)
  const wait = await fetch(
    `${origin}/api/changes?type=stable&level=study&wait=30&studyInstanceUID=${study.studyInstanceUID}`,
  )
  expect((await wait.json()).changes).toHaveLength(1)
}

const whyNoPooler = !existsSync('/usr/sbin/pgbouncer')
  ? 'there is no pgbouncer (Debian: apt-get install pgbouncer)'
  : externalDatabaseURL === undefined
    ? 'TEST_DATABASE_URL names no Postgres'
    : undefined
if (whyNoPooler !== undefined) console.log(`not run: behind a pooler, because ${whyNoPooler}`)

describe.skipIf(whyNoPooler !== undefined)('behind pgbouncer in transaction mode', () => {
  test('stores, searches, settles and tells, with few connections of Postgres and many senders', async () => {
    const target = new URL(externalDatabaseURL as string)
    const port = await freePort()
    // pgbouncer does not run as root.
    const command = isRoot ? 'runuser' : '/usr/sbin/pgbouncer'
    const prefix = isRoot ? ['-u', 'postgres', '--', '/usr/sbin/pgbouncer'] : []
    await using direct = await startServer()
    const database = new URL(direct.databaseURL as string)
    await direct.stop()
    await using _ = await startDaemon(
      command,
      (folder) => [...prefix, join(folder, 'pgbouncer.ini')],
      {
        'users.txt': `"${target.username}" ""\n`,
        'pgbouncer.ini': [
          '[databases]',
          `* = host=${target.hostname} port=${target.port}`,
          '[pgbouncer]',
          `listen_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =`,
          'auth_type = trust\nauth_file = FOLDER/users.txt',
          'pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 200',
          'ignore_startup_parameters = extra_float_digits',
        ].join('\n'),
      },
      async () => {
        const { createConnection } = await import('node:net')
        const socket = createConnection(port, '127.0.0.1')
        await once(socket, 'connect')
        socket.destroy()
        return true
      },
    )
    const pooled = new URL(database)
    pooled.host = `127.0.0.1:${port}`
    const env = { DATABASE_DIRECT_URL: database.href, STOWAGE_QUIET_SECONDS: '1' }
    await using server = await startServer({ databaseURL: pooled.href, env })
    await expectToWork(server, server.url)
    const statuses = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const study = testStudy(1)
        const { status } = await stow(`${server.dicomWeb}/studies`, study.files)
        return status
      }),
    )
    expect(new Set(statuses)).toEqual(new Set([200]))
    await using sql = await direct.connect()
    await expectConsistent(server, sql)
  })
})

const whyNoProxy = existsSync('/usr/sbin/nginx')
  ? undefined
  : 'there is no nginx (Debian: apt-get install nginx-light)'
if (whyNoProxy !== undefined) console.log(`not run: behind a proxy, because ${whyNoProxy}`)

describe.skipIf(whyNoProxy !== undefined)('behind nginx, as docs/operations.md says', () => {
  test('stores large requests without a copy in between, tells its URLs, and streams the feed', async () => {
    const port = await freePort()
    const env = { STOWAGE_TRUST_PROXY: '127.0.0.1', STOWAGE_QUIET_SECONDS: '1' }
    await using server = await startServer({ env })
    const text = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8')
    const documented = /```nginx\n([^`]+)```/.exec(text)?.[1] as string
    const location = documented
      .replaceAll('http://127.0.0.1:8104', server.url)
      .replace(/listen [^;]+;/, `listen 127.0.0.1:${port};`)
      .replace(/\n *ssl_certificate[^\n]*/g, '')
    await using _ = await startDaemon(
      '/usr/sbin/nginx',
      (folder) => ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'],
      {
        'nginx.conf': [
          isRoot ? 'user root;' : '',
          'daemon off;\npid FOLDER/nginx.pid;\nerror_log stderr;',
          'events {}\nhttp {\naccess_log off;',
          ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
            (name) => `${name}_temp_path FOLDER/${name};`,
          ),
          location,
          '}',
        ].join('\n'),
      },
      async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).status === 200,
    )
    await expectToWork(server, `http://127.0.0.1:${port}`)

    const left = new AbortController()
    const stream = await fetch(`http://127.0.0.1:${port}/api/changes`, {
      headers: { accept: 'text/event-stream' },
      signal: left.signal,
    })
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
    let heard = ''
    while (!heard.includes('event: stable')) {
      heard += Buffer.from((await reader.read()).value as Uint8Array)
    }
    left.abort()
  })
})

test.skipIf(!existsSync('/usr/bin/systemd-analyze'))(
  'the unit in docs/operations.md is one that systemd accepts',
  async () => {
    const text = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8')
    const unit = /```ini\n([^`]+)```/.exec(text)?.[1] as string
    const folder = await temporaryFolder()
    const file = join(folder, 'stowage.service')
    await writeFile(
      file,
      unit.replace(/ExecStart=\S+/, 'ExecStart=/bin/true').replace(/User=.*/, 'User=root'),
    )
    expect(execFileSync('systemd-analyze', ['verify', file], { stdio: 'pipe' }).toString()).toBe('')
    await rm(folder, { recursive: true })
  },
)
