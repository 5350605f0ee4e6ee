import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const compiler = new URL('../../bin/compile.mjs', import.meta.url).href

/** As Node does at the start, in a process of its own. */
function compileOnce(): string {
  const script = `import(${JSON.stringify(compiler)}).then(async (m) => console.log(await m.compile()))`
  const run = spawnSync(process.execPath, ['-e', script], { cwd: root })
  expect(run.stderr.toString()).toBe('')
  return run.stdout.toString().trim()
}

describe('What runs on Node', () => {
  test('is compiled once for the same sources, and leaves nothing unfinished', () => {
    const first = compileOnce()
    const path = fileURLToPath(first)
    expect(existsSync(path)).toBe(true)
    const { mtimeMs } = statSync(path)
    expect(compileOnce()).toBe(first)
    expect(statSync(path).mtimeMs).toBe(mtimeMs)
    const unfinished = /^\.stowage-[0-9a-f]{16}-/
    expect(readdirSync(`${root}/node_modules`).filter((name) => unfinished.test(name))).toEqual([])
  })

  test.each([
    ['compiled', {}],
    ['as it is, followed by node --watch', { WATCH_REPORT_DEPENDENCIES: '1' }],
  ])('says the same, %s', (_how, environment) => {
    const run = spawnSync(process.execPath, ['bin/stowage.mjs', '--version'], {
      cwd: root,
      env: { ...process.env, ...environment },
    })
    expect([run.status, run.stdout.toString().trim()]).toEqual([0, expect.stringMatching(/^\d+\./)])
  })
})
