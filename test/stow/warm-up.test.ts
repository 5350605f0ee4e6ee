import { describe, expect, test } from 'vitest'
import type { Transfer } from '../../server/intake/transfer.ts'
import { warmUp } from '../../server/stow/warm-up.ts'
import { dicomFile } from '../support/dicom-file.ts'
import { type TestIntake, testIntake } from '../support/intake.ts'

const limits = { requestBytes: 1e9, inflateRatio: 100, parts: 1000, partBytes: 1e9, idleMs: 60_000 }

/** What the warm-up is given to receive with. */
function rehearsalsOf({ intake }: TestIntake): Transfer[] {
  const transfers: Transfer[] = []
  const rehearse = intake.rehearse.bind(intake)
  intake.rehearse = () => {
    const transfer = rehearse()
    transfers.push(transfer)
    return transfer
  }
  return transfers
}

describe('the warm-up', () => {
  test('receives instances as they come from outside, and leaves nothing anywhere', async () => {
    await using t = await testIntake()
    const transfers = rehearsalsOf(t)
    await warmUp({ intake: t.intake, limits }, new AbortController().signal)
    expect(transfers.length).toBeGreaterThan(100)
    expect(t.intake.openCount).toBe(0)
    expect(await t.storedBytes()).toBe(0)
    for (const table of ['transfers', 'staged_instances', 'segments', 'instances']) {
      expect(await t.db.sql`select from ${t.db.sql(table)}`).toHaveLength(0)
    }
    // Were it refused, or warned of, other code would be practised than that of an ordinary study.
    const outcome = await transfers[0]?.commit()
    expect(outcome).toMatchObject({ state: 'committed', refused: [] })
    expect(outcome?.stored.map(({ warning }) => warning)).toEqual(Array(5).fill(undefined))
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
    expect(transfers.length).toBeLessThan(400)
  })
})
