import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { run } from '../../server/commands/check.ts'
import { UsageError } from '../../server/commands/command.ts'
import { bytesText } from '../../web/parts/quantity.tsx'
import { dicomFile } from '../support/dicom-file.ts'
import { type TestIntake, testIntake } from '../support/intake.ts'

/** `stowage check` in this process: its lines, and its exit code. */
async function stowageCheck(env: Record<string, string>, ...args: string[]) {
  const lines: string[] = []
  const host = { name: 'node' as const, listen: () => Promise.reject(new Error('not here')) }
  const code = await run({ args, env, host, print: (line) => lines.push(line) })
  return { code, lines }
}

async function urlOf({ db }: TestIntake): Promise<string> {
  const { host, port, user, pass, database } = db.sql.options
  const [where] = host as unknown as string[]
  const password = typeof pass === 'string' ? `:${encodeURIComponent(pass)}` : ''
  return where?.startsWith('/')
    ? `postgresql://${user}@/${database}?host=${encodeURIComponent(where)}`
    : `postgresql://${user}${password}@${where}:${port}/${database}`
}

async function environment(archive: TestIntake): Promise<Record<string, string>> {
  return { DATABASE_URL: await urlOf(archive), STOWAGE_STORE_DIR: archive.folder }
}

describe('stowage check', () => {
  test('answers 0 and one line for a sound archive, and 1 with a line for each finding', async () => {
    await using archive = await testIntake()
    const file = dicomFile()
    await archive.send([file])
    const env = await environment(archive)
    expect(await stowageCheck(env)).toEqual({
      code: 0,
      lines: [`1 instance, 1 segment, ${bytesText(file.length)} checked: no problem found`],
    })
    expect((await stowageCheck(env, '--quick')).lines.at(-1)).toContain('checked (without digests)')
    await archive.db.sql`update studies set series_count = 4`
    await archive.db.sql`update instances set digest = sha256('x')`
    const { code, lines } = await stowageCheck(env)
    expect(code).toBe(1)
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['study-counts', 'digest-differs', '1'])
    expect(lines.at(-1)).toMatch(/: 2 problems found$/)
  })

  test('writes a JSON object a line with --json', async () => {
    await using archive = await testIntake()
    await archive.send([dicomFile()])
    await archive.db.sql`update studies set series_count = 4`
    const { code, lines } = await stowageCheck(await environment(archive), '--json')
    expect(code).toBe(1)
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { finding: { problem: 'study-counts', place: {}, advice: expect.any(String) } },
      { summary: { instanceCount: 1, findingCount: 1, quick: false } },
    ])
  })

  test('answers 2 when there is no database, and makes none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'stowage-check-'))
    try {
      const missing = join(folder, 'none')
      expect((await stowageCheck({ STOWAGE_DATA_DIR: missing })).code).toBe(2)
      await expect(mkdir(missing)).resolves.toBeUndefined()
      expect((await stowageCheck({ STOWAGE_DATA_DIR: missing })).code).toBe(2)
      const env = {
        DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none',
        STOWAGE_DATABASE_WAIT_SECONDS: '0',
      }
      expect((await stowageCheck(env)).code).toBe(2)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('answers 2 when the tables are not those that it knows, and changes none', async () => {
    await using archive = await testIntake()
    const env = await environment(archive)
    const { sql } = archive.db
    await sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('x', 9e12)`
    expect((await stowageCheck(env)).code).toBe(2)
    await sql`delete from drizzle.__drizzle_migrations where hash = 'x'`
    expect((await stowageCheck(env)).code).toBe(0)
    await sql`
      delete from drizzle.__drizzle_migrations
      where created_at = (select max(created_at) from drizzle.__drizzle_migrations)`
    expect((await stowageCheck(env)).code).toBe(2)
    await sql`drop schema drizzle cascade`
    expect((await stowageCheck(env)).code).toBe(2)
  })

  test('answers 2 when the folder of the store is not there, rather than that all is lost', async () => {
    await using archive = await testIntake()
    await archive.send([dicomFile()])
    const env = { ...(await environment(archive)), STOWAGE_STORE_DIR: '/no/such/store' }
    expect(await stowageCheck(env)).toEqual({ code: 2, lines: [] })
  })

  test('takes no other arguments', async () => {
    await expect(stowageCheck({}, '--fast')).rejects.toThrow(UsageError)
    expect((await stowageCheck({}, '--help')).code).toBe(0)
  })
})
