import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { listTokens } from '../../db/access.ts'
import { openDatabase } from '../../db/database.ts'
import { type CommandModule, UsageError } from '../../server/commands/command.ts'
import * as migrate from '../../server/commands/migrate.ts'
import * as password from '../../server/commands/password.ts'
import * as token from '../../server/commands/token.ts'
import { freshDatabase } from '../support/database.ts'
import { temporaryFolder } from '../support/server.ts'

const commands: Record<string, CommandModule> = { migrate, password, token }

/** A command in this process: what it prints. */
async function stowage(env: Record<string, string>, name: string, ...args: string[]) {
  const lines: string[] = []
  const host = { name: 'node' as const, listen: () => Promise.reject(new Error('not here')) }
  await commands[name]?.run({ args, env, host, print: (line) => lines.push(line) })
  return lines
}

describe('credentials in the wrong folder', () => {
  test.each([
    ['make the token', ['token', 'create', '--name', 'a', '--role', 'reader']],
    ['list the tokens', ['token', 'list']],
    ['revoke the token', ['token', 'revoke', 'a']],
    ['set the password', ['password', 'ann', '--role', 'reader']],
    ['remove the password', ['password', 'ann', '--remove']],
  ])('it cannot %s where no archive is, and makes none', async (what, [name, ...args]) => {
    const folder = await temporaryFolder()
    try {
      const dataDir = join(folder, 'data')
      const attempt = stowage({ STOWAGE_DATA_DIR: dataDir }, name as string, ...args)
      await expect(attempt).rejects.toThrow(
        `Cannot ${what}: there is no database in ${dataDir}; set STOWAGE_DATA_DIR to the folder that the server uses, or run "stowage migrate" first to begin a new archive`,
      )
      expect(await readdir(folder)).toEqual([])
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('a database that no server has used is refused, and left as it is', async () => {
    await using database = await freshDatabase()
    await database.sql`drop schema drizzle cascade`
    const create = ['token', 'create', '--name', 'a', '--role', 'reader'] as const
    await expect(stowage({ DATABASE_URL: database.url }, ...create)).rejects.toThrow(
      /^Cannot make the token: there are no tables of Stowage in the database; .*DATABASE_URL.*"stowage migrate"/,
    )
    expect(await listTokens(openDatabase(database.sql))).toEqual([])
  })

  test('a new archive has them before its first start, once "stowage migrate" has made it', async () => {
    const dataDir = await temporaryFolder()
    try {
      const env = { STOWAGE_DATA_DIR: dataDir, STOWAGE_LOG_LEVEL: 'warn' }
      await stowage(env, 'migrate')
      const create = ['token', 'create', '--name', 'a', '--role', 'reader'] as const
      expect(await stowage(env, ...create)).toEqual([expect.stringMatching(/^stowage_/)])
      expect(await stowage(env, 'token', 'list')).toEqual([expect.stringMatching(/^a {2}reader/)])
    } finally {
      await rm(dataDir, { recursive: true })
    }
  })
})

describe('what is missing is named', () => {
  test.each([
    ['token create --name a', /Cannot make the token: --role is missing; .*sender, reader, oper/],
    ['token create --role reader', /Cannot make the token: --name is missing; .*--name ct-2/],
    ['token create', /Cannot make the token: --name is missing;/],
    ['token create a --role reader', /Cannot make the token: --name is missing;/],
    ['token create --name a --role reader b', /Cannot make the token: "b" belongs to nothing/],
    ['token create --name a --rolle reader', /Cannot make the token: Unknown option '--rolle'/],
    ['token create --name a --role', /Cannot make the token: .*'--role <value>'.* missing/],
    ['token revoke', /Cannot revoke the token: its name is missing/],
    ['token revoke a b', /Cannot revoke the token: one name at a time/],
    ['token list all', /Cannot list the tokens: "all" belongs to nothing/],
    ['token make', /Cannot run "stowage token make": it is create, list or revoke/],
    ['password --role reader', /Cannot set the password: whose it is, is missing/],
    ['password ann secret', /Cannot set the password: one name is taken, and the password never/],
    ['password ann --rolle reader', /Cannot set the password: Unknown option '--rolle'/],
  ])('stowage %s', async (line, why) => {
    const [name, ...args] = line.split(' ')
    const attempt = stowage({}, name as string, ...args)
    await expect(attempt).rejects.toThrow(UsageError)
    await expect(attempt).rejects.toThrow(why)
    await expect(attempt).rejects.toThrow(`see "stowage ${name} --help"`)
    await expect(attempt).rejects.not.toThrow('secret')
  })
})
