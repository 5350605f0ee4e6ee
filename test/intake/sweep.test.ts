import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { findTransfer } from '../../db/transfers.ts'
import { sweepStrays, sweepTransfers } from '../../server/intake/sweep.ts'
import { dicomFile } from '../support/dicom-file.ts'
import { nothingHeld, type TestIntake, testIntake } from '../support/intake.ts'

async function halfATransfer(t: TestIntake) {
  const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
  transfer.beginPart()
  transfer.push(dicomFile())
  transfer.endPart()
  await transfer.open()
  return transfer
}

describe('the sweep', () => {
  test('ends a transfer whose lease ran out, and gives its segments back (OTR-9)', async () => {
    await using t = await testIntake()
    const transfer = await halfATransfer(t)
    expect(await sweepTransfers(t.db, t.store, t.intake.serverID)).toEqual({
      expired: 0,
      deleted: 0,
    })
    await t.db.sql`update transfers set lease_until = now() - interval '1 second'`
    expect(await sweepTransfers(t.db, t.store, t.intake.serverID)).toEqual({
      expired: 1,
      deleted: 1,
    })
    expect(await findTransfer(t.db, transfer.transferID)).toMatchObject({ state: 'expired' })
    expect(await t.storedBytes()).toBe(0)
    await expect(transfer.commit()).rejects.toThrow('Nothing of it is stored')
  })

  test('ends everything that is not its own when the database is its own', async () => {
    await using t = await testIntake()
    await halfATransfer(t)
    expect(await sweepTransfers(t.db, t.store, t.intake.serverID, true)).toMatchObject({
      expired: 0,
    })
    expect(await sweepTransfers(t.db, t.store, randomUUID(), true)).toMatchObject({ expired: 1 })
  })

  test('leaves what is committed alone, also when it runs at the same time', async () => {
    await using t = await testIntake()
    const sweeping = Array.from({ length: 5 }, () =>
      sweepTransfers(t.db, t.store, t.intake.serverID),
    )
    await Promise.all([t.send([dicomFile(), dicomFile()]), ...sweeping])
    await sweepStrays(t.db, t.store, new Date(Date.now() + 60_000))
    expect(await t.counts()).toMatchObject({ instances: 2 })
    expect(await t.storedBytes()).toBeGreaterThan(0)
  })

  test('deletes old objects without a row, and nothing that is not a segment', async () => {
    await using t = await testIntake(nothingHeld)
    const { transferID } = await t.send([dicomFile()])
    const [kept] = await t.db.sql`select segment_id from segments where transfer_id = ${transferID}`
    const stray = await t.store.create(randomUUID())
    stray.append(Buffer.from('stray'))
    await stray.seal()
    const foreign = await t.store.create('notes-of-fred')
    await foreign.seal()
    const ago = new Date(Date.now() - 60_000)
    expect(await sweepStrays(t.db, t.store, ago)).toEqual({ deleted: 0, kept: 0 })
    const ahead = new Date(Date.now() + 60_000)
    expect(await sweepStrays(t.db, t.store, ahead)).toEqual({ deleted: 1, kept: 0 })
    const left: string[] = []
    for await (const { segmentID } of t.store.list()) left.push(segmentID)
    expect(left.sort()).toEqual([kept?.segment_id, 'notes-of-fred'].sort())
  })

  test('deletes nothing that was committed once, whatever another or an old database says (P2)', async () => {
    await using t = await testIntake(nothingHeld)
    await using other = await testIntake()
    const ids: string[] = []
    for (let i = 0; i < 3; i++) ids.push((await t.send([dicomFile()])).transferID)
    await expect.poll(() => keptCount(t)).toBe(3)
    const bytes = await t.storedBytes()
    const ahead = new Date(Date.now() + 60_000)
    expect(await sweepStrays(other.db, t.store, ahead)).toEqual({ deleted: 0, kept: 3 })
    // As in a copy of the database that was made while the last one was still arriving.
    await t.db.sql`
      update transfers set state = 'receiving', lease_until = now() where transfer_id = ${ids[2] ?? ''}`
    await t.db.sql`update segments set state = 'open' where transfer_id = ${ids[2] ?? ''}`
    expect(await sweepTransfers(t.db, t.store, t.intake.serverID)).toEqual({
      expired: 1,
      deleted: 0,
    })
    expect(await t.storedBytes()).toBe(bytes)
  })
})

describe('the sweep of doomed segments', () => {
  test('reaches those behind any number that the store keeps', async () => {
    await using t = await testIntake()
    const doomedLast = randomUUID()
    t.store.delete = async (segmentID) => segmentID === doomedLast
    await t.db.sql`
      insert into segments (segment_id, state) select gen_random_uuid(), 'doomed' from generate_series(1, 600)`
    await t.db.sql`insert into segments (segment_id, state) values (${doomedLast}, 'doomed')`
    expect(await sweepTransfers(t.db, t.store, t.intake.serverID)).toMatchObject({ deleted: 1 })
    expect(await t.db.sql`select from segments where segment_id = ${doomedLast}`).toHaveLength(0)
  })
})

async function keptCount(t: TestIntake): Promise<number> {
  let count = 0
  for await (const { isKept } of t.store.list()) if (isKept) count++
  return count
}
