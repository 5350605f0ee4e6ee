import { describe, expect, test } from 'vitest'
import type { Transfer } from '../../server/intake/transfer.ts'
import { warmUp } from '../../server/stow/warm-up.ts'
import { dicomFile } from '../support/dicom-file.ts'
import { type TestIntake, testIntake } from '../support/intake.ts'

const limits = { requestBytes: 1e9, inflateRatio: 100, parts: 1000, partBytes: 1e9, idleMs: 60_000 }

/** What the warm-up is given to receive with. */
function rehearsalsOf({ intake }: TestIntake): Transfer[] {
  const transfers: Transfer[] = []
  const rehearsal = intake.rehearsal.bind(intake)
  intake.rehearsal = () => {
    const { open } = rehearsal()
    return {
      async open(request, span) {
        const transfer = await open(request, span)
        transfers.push(transfer)
        return transfer
      },
    }
  }
  return transfers
}

describe('the warm-up', () => {
  test('has limits of its own: those for others may be smaller than what it makes', async () => {
    await using t = await testIntake()
    const least = { ...limits, requestBytes: 1, parts: 1, partBytes: 1 }
    await warmUp({ intake: t.intake, limits: least }, new AbortController().signal)
  })

  test('receives and answers instances as they come from outside, and leaves nothing anywhere', async () => {
    const ended: unknown[] = []
    await using t = await testIntake({}, (transfer) => ended.push(transfer))
    const transfers = rehearsalsOf(t)
    // Were one refused, or warned of, it would be answered other than 200, and end with an error.
    await warmUp({ intake: t.intake, limits }, new AbortController().signal)
    expect(transfers.length).toBeGreaterThan(100)
    expect(transfers.some(({ partCount }) => partCount > 1)).toBe(true)
    expect(t.intake.openCount).toBe(0)
    expect(t.intake.heldBytes).toBe(0)
    expect(ended).toEqual([])
    expect(await t.storedBytes()).toBe(0)
    for (const table of ['transfers', 'staged_instances', 'segments', 'instances', 'changes']) {
      expect(await t.db.sql`select from ${t.db.sql(table)}`).toHaveLength(0)
    }
  })

  test('leaves the way to whoever sends something, and ends when the server does', async () => {
    await using t = await testIntake()
    const transfers = rehearsalsOf(t)
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    const ending = new AbortController()
    const warming = warmUp({ intake: t.intake, limits }, ending.signal)
    transfer.beginPart()
    transfer.push(dicomFile())
    transfer.endPart()
    expect(await transfer.commit()).toMatchObject({ state: 'committed' })
    expect(transfers).toHaveLength(0)
    await expect.poll(() => transfers.length).toBeGreaterThan(0)
    ending.abort()
    await warming
    expect(transfers.length).toBeLessThan(2000)
  })
})
