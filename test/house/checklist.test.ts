import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/** The ids of the conformance checklist for Search, Retrieve, DICOM JSON, and metadata with bulk data. */
const families: [prefix: string, last: number, digits?: number][] = [
  ['QI-R', 6],
  ['QI-P', 15],
  ['QI-A', 10],
  ['QI-S', 9],
  ['WA-R', 7],
  ['WA-N', 17],
  ['WA-S', 18],
  ['JS-', 28, 2],
  ['MB-', 10],
]
const ids = families.flatMap(([prefix, last, digits = 1]) =>
  Array.from({ length: last }, (_, i) => prefix + String(i + 1).padStart(digits, '0')),
)

/** All tests without their comments: an id that is left stands in a name. */
const tests = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.ts') && !path.startsWith('house'))
  .map((path) => readFileSync(join('test', path), 'utf8'))
  .join('\n')
  .replace(/^\s*\/\*\*[\s\S]*?\*\//gm, '')
  .replace(/^\s*\/\/.*$/gm, '')

const [, withoutTest = ''] = readFileSync('docs/conformance.md', 'utf8').split(
  '## Ids without a test',
)

test.each(ids)('%s names a test, or the conformance statement says why not', (id) => {
  const isNamed = new RegExp(`(?<![A-Z0-9-])${id}(?!\\d)`)
  expect([isNamed.test(tests), isNamed.test(withoutTest)]).toContain(true)
  // What has a test is not said to have none.
  expect([isNamed.test(tests), isNamed.test(withoutTest)]).toContain(false)
})
