import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { recordEndedTransfer } from '../../db/groups.ts'
import { commitTransfer, openTransfer, stageInstances } from '../../db/transfers.ts'
import { uniqueUID } from '../support/dicom-file.ts'
import {
  groupMember,
  instanceRow,
  type Said,
  type TestGroups,
  testGroups,
  wrongCounts,
} from './group.ts'

const end = {
  state: 'aborted' as const,
  reason: 'The answer was lost',
  receivedBytes: 1,
  partCount: 1,
  duplicateCount: 0,
  refused: [],
}

describe('a transfer that ended without a row', () => {
  test('gets one, with its refusals', async () => {
    await using t = await testGroups()
    const { storedCount: _, refused: __, warned: ___, ...member } = groupMember(0)
    const transfer = { ...member, serverID: t.serverID, sender: '127.0.0.1' }
    const refused = [{ position: 0, failureReason: 0x0110, detail: 'No' }]
    const refusal = { ...end, state: 'refused' as const, refused }
    expect(await recordEndedTransfer(t.db, transfer, refusal)).toBe('refused')
    expect(await recordEndedTransfer(t.db, transfer, end)).toBe('refused')
    const rows = await t.db.sql`
      select state, reason, sender, refused_count, received_bytes, ended_at > started_at as is_over
      from transfers`
    expect([...rows]).toEqual([
      {
        state: 'refused',
        reason: end.reason,
        sender: '127.0.0.1',
        refused_count: 1,
        received_bytes: 1,
        is_over: true,
      },
    ])
    expect(await t.db.sql`select from refusals`).toHaveLength(1)
  })
})

describe('a group whose answer is lost', () => {
  /** A group whose bytes are not durable before `finish`. */
  async function heldGroup(t: TestGroups) {
    const group = t.make([[{}]])
    const other = t.make([[{}]]).members[0]
    if (other !== undefined) group.members.push({ ...other, storedCount: 0 })
    let [finish, undo] = [() => {}, () => {}]
    const synced = new Promise<void>((resolve, reject) => {
      finish = resolve
      undo = () => reject(new Error('The disk is full'))
    })
    const result = t.commitMade(group, synced)
    result.catch(() => {})
    await until(t, "state = 'idle in transaction' and query ~ 'commit_(plain_)?group'", 1)
    return { group, result, finish, undo }
  }

  function find(t: TestGroups, transferID: string) {
    const transfer = { ...groupMember(0), transferID, serverID: t.serverID }
    return recordEndedTransfer(t.db, transfer, end)
  }

  async function until(t: TestGroups, condition: string, count: number): Promise<void> {
    await expect
      .poll(async () => {
        const rows = await t.db.sql.unsafe(
          `select from pg_stat_activity where datname = current_database() and ${condition}`,
        )
        return rows.length
      })
      .toBe(count)
  }

  function waiting(t: TestGroups, count: number): Promise<void> {
    return until(t, "wait_event_type = 'Lock'", count)
  }

  test('is waited for, and found committed', async () => {
    await using t = await testGroups()
    const held = await heldGroup(t)
    const states = held.group.members.map(({ transferID }) => find(t, transferID))
    const [first] = await Promise.all([states[0], waiting(t, 2).then(held.finish)])
    expect((await held.result).outcome).toBe('committed')
    expect(first).toBe('committed')
    expect(await states[1]).toBe('committed')
    expect(await t.db.sql`select from instances`).toHaveLength(1)
  })

  test('is waited for, and found undone', async () => {
    await using t = await testGroups()
    const held = await heldGroup(t)
    const state = find(t, held.group.members[1]?.transferID as string)
    await waiting(t, 1)
    held.undo()
    await expect(held.result).rejects.toThrow('The disk is full')
    expect(await state).toBe('aborted')
    expect(await t.db.sql`select from instances`).toHaveLength(0)
  })

  test('cannot be committed any more after one of its transfers was answered', async () => {
    await using t = await testGroups()
    const group = t.make([[{}], [{}]])
    expect(await find(t, group.members[1]?.transferID as string)).toBe('aborted')
    await expect(t.commitMade(group)).rejects.toMatchObject({ code: '23505' })
    expect(await find(t, group.members[0]?.transferID as string)).toBe('aborted')
    expect(await t.db.sql`select from instances`).toHaveLength(0)
    expect(await t.db.sql`select from segments where byte_length > 0`).toHaveLength(0)
  })
})

describe('commits at the same time', () => {
  /** Some of three studies of two patients with two series each, in any order. */
  function someParents(): Said[] {
    const studies = ['1.5', '1.6', '1.7'].sort(() => Math.random() - 0.5).slice(0, 2)
    return studies.flatMap((study) =>
      [1, 2]
        .sort(() => Math.random() - 0.5)
        .map((number) => ({
          study,
          series: `${study}.${number}`,
          studySays: { PatientID: study === '1.6' ? 'Q' : 'P' },
        })),
    )
  }

  async function transfer(t: TestGroups, said: Said[]): Promise<string> {
    const [transferID, segmentID] = [randomUUID(), randomUUID()]
    const row = { ...groupMember(0), transferID, segmentID, serverID: t.serverID }
    await openTransfer(t.db, row, 30)
    const batch = said.map((one, position) => ({ ...instanceRow(one, segmentID), position }))
    await stageInstances(t.db, transferID, batch)
    const segments = [{ segmentID, byteLength: 1 }]
    const commit = { ...groupMember(0), stagedCount: batch.length, segments }
    return (await commitTransfer(t.db, transferID, commit)).outcome
  }

  test('of groups and transfers never deadlock in the same studies, and count right', async () => {
    await using t = await testGroups()
    const deadlocks = async () => {
      const [row] = await t.db.sql`
        select deadlocks::int from pg_stat_database where datname = current_database()`
      return row?.deadlocks
    }
    const rounds = 40
    const loops = Array.from({ length: 6 }, async (_, loop) => {
      for (let round = 0; round < rounds; round++) {
        const said = someParents()
        // A group that would wait for long is told so, and would be committed on its own.
        let outcome = 'contended'
        while (outcome === 'contended') {
          outcome =
            loop % 3 === 0
              ? await transfer(t, said)
              : (await t.commit(said.map((one) => [one]))).outcome
        }
        expect(outcome).toBe('committed')
      }
    })
    await Promise.all(loops)
    const [row] = await t.db.sql`select sum(instance_count)::int as count from studies`
    expect(row?.count).toBe(6 * rounds * 4)
    expect(await wrongCounts(t.db)).toEqual([])
    expect(await deadlocks()).toBe(0)
  })

  test('of the same new instance store it once', async () => {
    await using t = await testGroups()
    for (let round = 0; round < 10; round++) {
      const said = { study: uniqueUID(), series: uniqueUID(), instance: uniqueUID(), content: 'x' }
      const results = await Promise.all([1, 2, 3].map(() => t.commit([[said]])))
      expect(results.map(({ outcome }) => outcome).sort()).toEqual([
        'committed',
        'superfluous',
        'superfluous',
      ])
    }
    expect(await wrongCounts(t.db)).toEqual([])
  })
})
