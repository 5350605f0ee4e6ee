import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderSettingsTable } from '../../server/config-table.ts'

const readme = readFileSync('README.md', 'utf8')

describe('the README', () => {
  test('has the table of settings that the program prints', () => {
    const [, table] = /<!-- settings[^>]*-->\n([\s\S]*?)\n<!-- \/settings -->/.exec(readme) ?? []
    expect(table?.trim()).toBe(renderSettingsTable().trim())
  })

  test.each(['README.md', 'docs/architecture.md', 'docs/conformance.md', 'CHANGELOG.md'])(
    '%s links only to files that are there',
    (file) => {
      const text = readFileSync(file, 'utf8')
      const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(
        ([, path]) => path as string,
      )
      expect(links.filter((path) => !existsSync(join(dirname(file), path)))).toEqual([])
    },
  )
})

describe('package.json', () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<
    string,
    Record<string, string>
  >

  test('pins every dependency to one version', () => {
    const ranges = ['dependencies', 'devDependencies', 'optionalDependencies']
      .flatMap((kind) => Object.entries(manifest[kind] ?? {}))
      .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    expect(ranges).toEqual([])
  })

  test('and its lock file names no registry host', () => {
    expect(readFileSync('package-lock.json', 'utf8')).not.toMatch(
      /"resolved"|https?:\/\/[^"]*registry/,
    )
  })
})
