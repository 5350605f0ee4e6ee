import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { RULES } from '../../server/access/rules.ts'
import { ROLES } from '../../server/http/identity.ts'

test('docs/access.md has the rules as the server has them', () => {
  const [, table] =
    /<!-- rules[^>]*-->\n([\s\S]*?)\n<!-- \/rules -->/.exec(
      readFileSync('docs/access.md', 'utf8'),
    ) ?? []
  const rows = RULES.map(({ what, who }) => {
    const marks = ROLES.map((role) => (who === 'anyone' || who.includes(role) ? 'yes' : ''))
    return `| ${[what, who === 'anyone' ? 'yes' : '', ...marks].join(' | ')} |`
  })
  const expected = [
    `| | anyone | ${ROLES.join(' | ')} |`,
    `| --- | --- | ${ROLES.map(() => '---').join(' | ')} |`,
    ...rows,
  ]
  expect(table).toBe(expected.join('\n'))
})
