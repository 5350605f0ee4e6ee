import { spawn } from 'node:child_process'
import { chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../server/log.ts'
import { DATA_FOLDER_LOCK } from '../../server/postgres/advisory-locks.ts'
import { ClusterError } from '../../server/postgres/cluster.ts'
import { startEmbeddedPostgres } from '../../server/postgres/embedded.ts'
import type { EmbeddedPostgres } from '../../server/postgres/embedded-types.ts'
import { DataFolderInUseError } from '../../server/postgres/folder-lock.ts'
import {
  ask,
  isAlive,
  killServerProcesses,
  startServerProcess,
  temporaryDataFolder,
  untilGone,
} from './embedded-server.ts'

const asRoot = process.getuid?.() === 0

function start(dataDir: string): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ dataDir, log: silentLog })
}

let used: Awaited<ReturnType<typeof temporaryDataFolder>>

beforeAll(async () => {
  used = await temporaryDataFolder()
  await (await start(used.dataDir)).stop()
})

afterAll(async () => {
  killServerProcesses()
  await used[Symbol.asyncDispose]()
})

describe('a new data folder', () => {
  let folder: Awaited<ReturnType<typeof temporaryDataFolder>>
  let embedded: EmbeddedPostgres

  beforeAll(async () => {
    folder = await temporaryDataFolder()
    embedded = await start(folder.dataDir)
  })

  afterAll(async () => {
    await embedded.stop()
    await folder[Symbol.asyncDispose]()
  })

  test('gets a cluster with checksums, in UTF-8, that listens on a socket only', async () => {
    const [facts] = await ask(
      embedded.connection,
      `select
        current_setting('data_checksums') as checksums,
        current_setting('server_encoding') as encoding,
        current_setting('listen_addresses') as addresses,
        current_setting('fsync') as fsync,
        current_user as name`,
    )
    const expected = { checksums: 'on', encoding: 'UTF8', addresses: '', fsync: 'on' }
    expect(facts).toEqual({ ...expected, name: 'stowage' })
  })

  test('has its socket in a folder that nobody else can enter, and lets the kernel say who comes', async () => {
    expect((await stat(embedded.connection.host)).mode & 0o777).toBe(0o700)
    const rules = await readFile(join(folder.dataDir, 'postgres', 'pg_hba.conf'), 'utf8')
    expect(rules).toBe('local all stowage peer map=stowage\n')
  })

  test('writes no value of a failed statement to its log', async () => {
    const statements = [
      `select 'DOE^JOHN'::integer`,
      `do $$ begin raise warning 'DOE^JOHN'; end $$`,
      `create table people (name text primary key); insert into people values ('DOE^JOHN'), ('DOE^JOHN')`,
    ]
    for (const statement of statements) await ask(embedded.connection, statement).catch(() => {})
    const logFolder = join(folder.dataDir, 'postgres', 'log')
    const names = await readdir(logFolder)
    expect(names.length).toBeGreaterThan(1)
    for (const name of names) {
      expect(await readFile(join(logFolder, name), 'utf8')).not.toContain('DOE')
    }
  })

  test('is not confused by what a crash in the middle of initdb left', async () => {
    await using folder = await temporaryDataFolder()
    await mkdir(join(folder.dataDir, 'postgres.new-12345678', 'base'), { recursive: true })
    await using embedded = await start(folder.dataDir)
    expect(await ask(embedded.connection, 'select 1 as one')).toEqual([{ one: 1 }])
  })
})

describe('a data folder that was used before', () => {
  test('has its data again', async () => {
    await using folder = await temporaryDataFolder({ from: used.dataDir })
    const first = await start(folder.dataDir)
    await ask(first.connection, 'create table kept (value int); insert into kept values (7)')
    await first.stop()
    await using second = await start(folder.dataDir)
    expect(await ask(second.connection, 'select value from kept')).toEqual([{ value: 7 }])
  })

  test('starts although its postmaster.pid names a living process that is no Postgres', async () => {
    await using folder = await temporaryDataFolder({ from: used.dataDir })
    const cluster = join(folder.dataDir, 'postgres')
    const { uid, gid } = await stat(cluster)
    // Of the same account as Postgres: that is when Postgres itself would refuse.
    const other = spawn('sleep', ['60'], { uid, gid })
    await writeFile(join(cluster, 'postmaster.pid'), `${other.pid}\n${cluster}\n0\n5432\n/tmp\n\n`)
    await chown(join(cluster, 'postmaster.pid'), uid, gid)
    await using embedded = await start(folder.dataDir)
    expect(await ask(embedded.connection, 'select 1 as one')).toEqual([{ one: 1 }])
    other.kill()
  })

  test('is refused when it is of another Postgres than the one that is there', async () => {
    await using folder = await temporaryDataFolder({ from: used.dataDir })
    await writeFile(join(folder.dataDir, 'postgres', 'PG_VERSION'), '17\n')
    const refusal = start(folder.dataDir)
    await expect(refusal).rejects.toThrow(ClusterError)
    await expect(refusal).rejects.toThrow(
      /it is of Postgres 17, and this Stowage brings Postgres 18/,
    )
  })
})

describe.runIf(asRoot)('started as root', () => {
  test('runs Postgres as another user', async () => {
    await using folder = await temporaryDataFolder({ from: used.dataDir })
    await using embedded = await start(folder.dataDir)
    expect((await stat(`/proc/${embedded.pid}`)).uid).not.toBe(0)
  })

  test('finds a place that Postgres can reach when the data folder is closed to it, and finds it again', async () => {
    await using folder = await temporaryDataFolder({ mode: 0o700 })
    const lines: string[] = []
    const log = { ...silentLog, info: (line: string) => void lines.push(line) }
    const first = await startEmbeddedPostgres({ dataDir: folder.dataDir, log })
    await ask(first.connection, 'create table kept (value int)')
    await first.stop()
    expect(lines[0]).toBe('The database lies outside the data folder, which Postgres cannot enter')
    const place = (await readFile(join(folder.dataDir, 'postgres.location'), 'utf8')).trim()
    expect(dirname(place)).toBe('/var/lib/stowage')
    await using second = await start(folder.dataDir)
    expect(await ask(second.connection, 'select value from kept')).toEqual([])
  })
})

describe('a server that was killed', () => {
  test('leaves its Postgres to the next one, which takes it over', async () => {
    await using folder = await temporaryDataFolder({ from: used.dataDir })
    const first = startServerProcess(folder.dataDir)
    const pid = await first.ready
    first.child.kill('SIGKILL')
    await first.exited
    await using second = await start(folder.dataDir)
    expect(second.pid).toBe(pid)
    await second.stop()
    await expect(ask(second.connection, 'select 1')).rejects.toThrow(/ENOENT|ECONNREFUSED/)
  })
})

describe('two servers on one data folder', () => {
  test('the second says who is first and ends, and the first goes on', async () => {
    await using folder = await temporaryDataFolder({ from: used.dataDir })
    const first = startServerProcess(folder.dataDir)
    const pid = await first.ready
    const second = startServerProcess(folder.dataDir)
    expect(await second.exited).toBe(1)
    expect(second.said()).toContain(
      `Cannot use the data folder ${folder.dataDir}: another Stowage server runs on it (pid ${first.child.pid})`,
    )
    expect(isAlive(pid)).toBe(true)
    first.child.kill('SIGTERM')
    expect(await first.exited).toBe(0)
    expect(first.said()).not.toContain('lost')
  })

  test('one of two that start at once on an empty folder gets it', async () => {
    await using folder = await temporaryDataFolder()
    const both = [startServerProcess(folder.dataDir), startServerProcess(folder.dataDir)]
    const outcomes = await Promise.allSettled(both.map((server) => server.ready))
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const winner = both[outcomes.findIndex(({ status }) => status === 'fulfilled')]
    winner?.child.kill('SIGTERM')
    expect(await winner?.exited).toBe(0)
  })

  test('one that starts while the other stops waits for its end and takes over', async () => {
    await using folder = await temporaryDataFolder({ from: used.dataDir })
    const first = startServerProcess(folder.dataDir)
    await first.ready
    const second = startServerProcess(folder.dataDir)
    await delay(300)
    first.child.kill('SIGTERM')
    expect(await first.exited).toBe(0)
    await second.ready
    second.child.kill('SIGTERM')
    expect(await second.exited).toBe(0)
  })
})

describe('a Postgres that dies', () => {
  for (const [how, signal] of [
    ['killed', 'SIGKILL'],
    ['stopped with "pg_ctl stop -m immediate"', 'SIGQUIT'],
    ['stopped with "pg_ctl stop -m fast"', 'SIGINT'],
  ] as const) {
    test(`is there again after it was ${how}, with all that was committed`, async () => {
      await using folder = await temporaryDataFolder({ from: used.dataDir })
      await using embedded = await start(folder.dataDir)
      await ask(embedded.connection, 'create table kept (value int); insert into kept values (7)')
      const { pid } = embedded
      process.kill(pid, signal)
      await untilGone(pid)
      expect(await ask(embedded.connection, 'select value from kept', 15_000)).toEqual([
        { value: 7 },
      ])
      expect(embedded.pid).not.toBe(pid)
    })
  }

  test('is there again when it was not our child but taken over', async () => {
    await using folder = await temporaryDataFolder({ from: used.dataDir })
    const first = startServerProcess(folder.dataDir)
    await first.ready
    first.child.kill('SIGKILL')
    await first.exited
    await using second = await start(folder.dataDir)
    process.kill(second.pid, 'SIGKILL')
    expect(await ask(second.connection, 'select 1 as one', 15_000)).toEqual([{ one: 1 }])
  })

  test('is still guarded against a second server after it came back', async () => {
    await using folder = await temporaryDataFolder({ from: used.dataDir })
    await using embedded = await start(folder.dataDir)
    process.kill(embedded.pid, 'SIGKILL')
    await untilGone(embedded.pid)
    await ask(embedded.connection, 'select 1', 15_000)
    await expect(start(folder.dataDir)).rejects.toThrow(/another Stowage server runs on it/)
  })

  test('is given up, and left alone, when another server has taken the folder meanwhile', async () => {
    await using folder = await temporaryDataFolder({ from: used.dataDir })
    const { promise: lost, resolve: lose } = withResolvers<Error>()
    await using embedded = await startEmbeddedPostgres({
      dataDir: folder.dataDir,
      log: silentLog,
      onLost: lose,
    })
    const rival = postgres({
      ...embedded.connection,
      database: 'postgres',
      max: 1,
      connection: { application_name: `stowage server ${process.ppid}` },
    })
    await rival`
      select pg_terminate_backend(pid)
      from pg_stat_activity
      where application_name = ${`stowage server ${process.pid}`}
    `
    await rival`select pg_advisory_lock(${DATA_FOLDER_LOCK[0]}, ${DATA_FOLDER_LOCK[1]})`
    expect(await lost).toBeInstanceOf(DataFolderInUseError)
    await embedded.stop()
    expect(await rival`select 1 as one`).toEqual([{ one: 1 }])
    await rival.end()
  })
})

function withResolvers<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
