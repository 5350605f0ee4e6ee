import { expect, test } from 'vitest'
import type { Waiting } from '../../server/audit/audit.ts'
import { Folding } from '../../server/audit/folding.ts'

function folding() {
  const given: Waiting[] = []
  return { folding: new Folding((event) => given.push(event)), given }
}

function frame(changes: Partial<Waiting> = {}): Waiting {
  const studyInstanceUID = '1.2.3'
  const actor = 'token:viewer'
  const common = { action: 'retrieve', outcome: 0, eventCount: 1, happenedAt: 0 } as const
  return { ...common, actor, studyInstanceUID, ...changes }
}

test('the first is told at once, the others of its minute as one, when it is over', () => {
  const { folding: folds, given } = folding()
  for (let n = 0; n < 40; n++) folds.record(frame({ sopInstanceUID: `1.${n}` }), n * 1000)
  expect(given).toEqual([frame({ sopInstanceUID: '1.0' })])
  expect(folds.count).toBe(1)
  folds.record(frame(), 60_000)
  expect(given.slice(1)).toEqual([
    frame({ happenedAt: 1000, eventCount: 39 }),
    frame({ happenedAt: 60_000 }),
  ])
  folds.finish()
  expect(given).toHaveLength(3)
})

test('who, from where, what and to which study are never mixed', () => {
  const { folding: folds, given } = folding()
  const others = [
    {},
    { actor: 'token:other' },
    { source: '10.0.0.1' },
    { studyInstanceUID: '1.2.4' },
    { outcome: 4 },
    { action: 'view' },
  ] as const
  for (const other of others) folds.record(frame(other), 0)
  expect(given).toHaveLength(others.length)
  folds.finish()
})

test('memory is bounded: the oldest is told early', () => {
  const { folding: folds, given } = folding()
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 10_000; n++) folds.record(frame({ source: `s${n}` }), 0)
  }
  expect(folds.count).toBe(10_000)
  folds.record(frame({ source: 'one more' }), 0)
  expect(folds.count).toBe(9999)
  expect(given.at(-1)).toMatchObject({ source: 's0' })
  folds.finish()
  expect(given.reduce((sum, one) => sum + one.eventCount, 0)).toBe(20_001)
})
