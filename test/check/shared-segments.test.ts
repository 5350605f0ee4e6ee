import { appendFile, stat, truncate } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { checked, filledArchive, placeOf } from './support.ts'

describe('a shared segment', () => {
  /** Makes all segments shared ones; with the path of that in which the third study lies. */
  async function sharedArchive(appendedBy: 'a server' | 'nobody') {
    const archive = await filledArchive()
    await archive.db.sql`
      update segments
      set
        transfer_id = null,
        appended_by = ${appendedBy === 'nobody' ? null : '11111111-1111-1111-1111-111111111111'}`
    const { path } = await placeOf(archive, archive.third.instances.at(-1)?.sopInstanceUID)
    return Object.assign(archive, { path })
  }

  test('belongs to no transfer, and may be longer while a server appends to it', async () => {
    await using archive = await sharedArchive('a server')
    await appendFile(archive.path, 'a group on its way')
    expect((await checked(archive)).findings).toEqual([])
  })

  test('may be empty before the first group is committed, and not when it is released', async () => {
    await using archive = await sharedArchive('a server')
    await archive.db.sql`
      insert into segments (segment_id, appended_by, state)
      values (gen_random_uuid(), gen_random_uuid(), 'kept')`
    expect((await checked(archive)).findings).toEqual([])
    await archive.db.sql`update segments set appended_by = null`
    expect((await checked(archive)).problems).toEqual(['segment-without-instances'])
  })

  test('may stay longer when its server was killed, and that is said', async () => {
    await using archive = await sharedArchive('nobody')
    await appendFile(archive.path, 'what is this')
    const { problems, uncommittedBytes } = await checked(archive)
    expect(problems).toEqual([])
    expect(uncommittedBytes).toBe('what is this'.length)
  })

  test('may never be shorter than what was committed', async () => {
    await using archive = await sharedArchive('a server')
    const { size } = await stat(archive.path)
    await truncate(archive.path, size - 1)
    expect((await checked(archive)).problems).toContain('segment-length')
  })
})
