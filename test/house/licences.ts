import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** One package that is shipped: not only needed to build and test. */
export interface Shipped {
  name: string
  version: string
  /** As its package.json says it, in SPDX; undefined: it does not. */
  licence: string | undefined
  integrity: string | undefined
}

/** Licences under which anybody may use and pass on what we ship, with nothing but a notice. */
export const accepted = [
  ...['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BSD-0-Clause', '0BSD'],
  ...['Unlicense', 'Zlib', 'PostgreSQL', '(MIT AND Zlib)'],
]

/** Old packages that say it in another field of package.json, or only in their LICENSE; read by a person. */
const said: Record<string, string> = { busboy: 'MIT', streamsearch: 'MIT' }

type Locked = { version: string; license?: string; integrity?: string; dev?: boolean }

/** What package-lock.json would install without what only development needs, on every system. */
export function shippedPackages(): Shipped[] {
  return lockedPackages().filter(({ isDev }) => !isDev)
}

export function lockedPackages(): (Shipped & { isDev: boolean })[] {
  const text = readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')
  const { packages }: { packages: Record<string, Locked> } = JSON.parse(text)
  return Object.entries(packages)
    .filter(([path]) => path !== '')
    .map(([path, { version, license, integrity, dev }]) => {
      const name = path.split('node_modules/').at(-1) as string
      return { name, version, licence: license ?? said[name], integrity, isDev: dev === true }
    })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, version, licence } of shippedPackages()) {
    console.log(`${(licence ?? 'unknown').padEnd(16)}${name} ${version}`)
  }
}
