import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

type Outcome = { code: number; stdout: string; stderr: string }

/** Runs the command as somebody would: another process, in a folder that is not ours. */
function stowage(args: string[], env: Record<string, string> = {}): Promise<Outcome> {
  const launcher = resolve('bin/stowage.mjs')
  return new Promise((done) => {
    execFile(
      process.execPath,
      [launcher, ...args],
      { cwd: tmpdir(), env: { ...process.env, ...env } },
      (error, stdout, stderr) => done({ code: Number(error?.code ?? 0), stdout, stderr }),
    )
  })
}

describe('stowage', () => {
  test('--help lists the commands and every setting', async () => {
    const { code, stdout } = await stowage(['--help'])
    expect(code).toBe(0)
    for (const word of [
      'serve',
      'send',
      'check',
      'migrate',
      'STOWAGE_PORT',
      'DATABASE_DIRECT_URL',
    ]) {
      expect(stdout).toContain(word)
    }
  })

  test('--version says the version', async () => {
    expect((await stowage(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('answers an unknown command with a sentence and 2', async () => {
    const { code, stderr } = await stowage(['migrat'])
    expect(code).toBe(2)
    expect(stderr).toBe(
      'stowage: Cannot run "migrat": there is no such command; is "migrate" meant?\n',
    )
  })

  test('answers wrong settings with a line for each and 2, before anything is started', async () => {
    const { code, stderr } = await stowage(['serve'], {
      STOWAGE_PORT: 'x',
      DATABASE_URL: 'stowage:secret@db',
    })
    expect(code).toBe(2)
    expect(stderr).toContain('\n  STOWAGE_PORT: write a whole number from 0 to 65535, not "x"\n')
    expect(stderr).toContain('\n  DATABASE_URL: ')
    expect(stderr).not.toContain('secret')
  })

  test('serve takes no arguments', async () => {
    const { code, stderr } = await stowage(['serve', '--port', '80'])
    expect(code).toBe(2)
    expect(stderr).toContain('settings are environment variables')
  })
})
