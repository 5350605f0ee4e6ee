import { expect, test } from 'vitest'
import { openDatabase } from '../../db/database.ts'
import { silentLog } from '../../server/log.ts'
import { Metrics } from '../../server/metrics/metrics.ts'
import { freshDatabase } from '../support/database.ts'

test('while the database is away what this server knows is told, and what only it knows is left out', async () => {
  const database = await freshDatabase()
  const metrics = new Metrics({ db: openDatabase(database.sql), log: silentLog })
  const intake = { openCount: 2, heldBytes: 300, spooledBytes: 0, uncommittedBytes: 0 }
  const sources = { intake, audit: { unwrittenCount: 0 } }
  const lines = async () => (await metrics.read(sources)).split('\n')
  expect(await lines()).toContain('stowage_changes_last_seq 0')
  await database[Symbol.asyncDispose]()

  const away = await lines()
  expect(away).toContain('stowage_database_up 0')
  expect(away).toContain('stowage_server_open_transfers 2')
  expect(away).toContain('stowage_server_held_bytes 300')
  expect(away.filter((line) => line.startsWith('stowage_changes_last_seq'))).toEqual([])
  expect(away.filter((line) => line.startsWith('stowage_rows_estimate'))).toEqual([])
})
