import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '../../server/commands/restore.ts'
import { temporaryFolder } from '../support/server.ts'

test('a restore says what is wrong with its folder, and what to write instead', async () => {
  const folder = await temporaryFolder()
  const restore = (path: string) => {
    const host = { name: 'node' as const, listen: () => Promise.reject(new Error('not here')) }
    const env = { STOWAGE_DATA_DIR: join(folder, 'data') }
    return run({ args: [join(folder, path)], env, host, print: () => {} })
  }
  try {
    await expect(restore('none')).rejects.toThrow(
      `Cannot read the backups in ${folder}/none: there is no such folder; write the one that "stowage backup" was given`,
    )
    await writeFile(join(folder, 'file'), '')
    await expect(restore('file')).rejects.toThrow(
      `Cannot read the backups in ${folder}/file: it is no folder; write the one that`,
    )
    await mkdir(join(folder, 'empty'))
    await expect(restore('empty')).rejects.toThrow(/there is no finished backup in/)
  } finally {
    await rm(folder, { recursive: true })
  }
})
