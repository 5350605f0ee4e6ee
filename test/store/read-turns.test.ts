import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fileStore } from '../../server/store/file-store.ts'
import { read, write } from './store-contract.ts'

const MiB = 1024 * 1024

test('whoever reads much, as fast as it comes, lets all others have their turn meanwhile', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-turns-'))
  try {
    const store = fileStore(folder)
    const segmentID = await write(store, [randomBytes(64 * MiB)])
    // By now the store knows that its disk is one of this machine.
    await read(store, segmentID, 0, MiB)
    let turns = 0
    let isDone = false
    const turn = () => {
      turns++
      if (!isDone) setImmediate(turn)
    }
    setImmediate(turn)
    for await (const chunk of store.read(segmentID, 0, 64 * MiB))
      expect(chunk.length).toBeGreaterThan(0)
    isDone = true
    expect(turns).toBeGreaterThanOrEqual(60)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
