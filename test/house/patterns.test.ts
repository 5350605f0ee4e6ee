import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/** Patterns that only ever see short texts, and why. */
const short = new Map([
  ['/([a-z\\d])([A-Z])|([A-Z]+)([A-Z][a-z])/g', 'keywords of the dictionary'],
  ['/=+$/', 'binary values of our own metadata, of 1 KiB at most'],
  ['/\\/+$/', 'settings and addresses that the administrator writes'],
  ['/(\\d+)-(\\d+)$/', 'references in metadata, which we make ourselves'],
])

const literal =
  /(?<=[(,=:[!&|?{};+]\s*|return\s)\/(?![*/])(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[dgimsuvy]*/g

/** All patterns of the server and the page that repeat something, by what they are. */
const patterns = ['server', 'db', 'web'].flatMap((room) =>
  readdirSync(room, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.tsx?$/.test(path))
    .flatMap((path) => {
      const text = readFileSync(join(room, path), 'utf8').replace(/^\s*(?:\/\/|\*|\/\*\*).*$/gm, '')
      return (text.match(literal) ?? [])
        .filter((one) => /[+*}]/.test(one))
        .map((one): [string, string] => [join(room, path), one])
    }),
)

/** What patterns repeat, alone and mixed; behind it something that fits nowhere. */
const pieces = ' \t\0aA0=/-.,:;"\\*_?[]&%<>\xe4'
  .split('')
  .concat('\r\n', 'a=', 'a,', 'a.', 'a/', '/a', '0.', ' a', '; ', '"a', '\\"', 'W/"')

test.each(patterns.filter(([, source]) => !short.has(source)))(
  '%s: %s takes no more than linear time',
  (_, source) => {
    const end = source.lastIndexOf('/')
    const pattern = new RegExp(source.slice(1, end), source.slice(end + 1))
    // Whatever it begins with has to be there, for what follows to be tried.
    const heads = ['', source.slice(1, end).replace(/[\^$\\()?:[\]+*{}|].*$/s, '')]
    for (const piece of pieces) {
      for (const head of new Set(heads)) {
        for (const tail of ['', '\x01', '\n']) {
          const text = head + piece.repeat(50_000 / piece.length) + tail
          const before = process.cpuUsage()
          pattern.lastIndex = 0
          text.match(pattern)
          const { user } = process.cpuUsage(before)
          // The square of 50,000 takes two seconds, or more; a line of it a millisecond.
          const isLinear = user < 500_000
          expect(isLinear, `with ${JSON.stringify(head + piece)} again and again`).toBe(true)
        }
      }
    }
  },
)

test('there are patterns to be tried', () => {
  expect(patterns.length).toBeGreaterThan(60)
})
