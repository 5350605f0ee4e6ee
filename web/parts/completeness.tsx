/** @jsxImportSource hono/jsx */
import type { Study } from '../../db/instances.ts'
import { countText } from './quantity.tsx'
import { Badge, verdictSigns } from './state-badge.tsx'

type Whole = Pick<
  Study,
  | 'verdict'
  | 'expectedInstanceCount'
  | 'instanceCount'
  | 'committedInstanceCount'
  | 'damagedInstanceCount'
>

/** A bar only where somebody said how many there should be: one that invents a number lies. */
export function Completeness({ of }: { of: Whole }) {
  const { verdict, expectedInstanceCount, instanceCount } = of
  return (
    <>
      {verdict !== 'unknown' && <Badge {...verdictSigns[verdict]} />}
      {expectedInstanceCount === null ? (
        <span class="nowrap">{countText(instanceCount)} received</span>
      ) : (
        <span class="measure">
          <progress
            max={Math.max(1, expectedInstanceCount)}
            value={Math.min(instanceCount, expectedInstanceCount)}
            aria-label="Instances received of those expected"
          />
          <small>
            {countText(instanceCount)} of {countText(expectedInstanceCount)}
          </small>
        </span>
      )}
    </>
  )
}

/** Whether its storage was committed. (PS3.4 J) */
export function Commitment({ of }: { of: Whole }) {
  const { committedInstanceCount, instanceCount, damagedInstanceCount } = of
  if (committedInstanceCount === 0) return null
  // The promise was made, and what it was made of is not whole any more.
  if (damagedInstanceCount > 0) {
    return <span class="nowrap">{countText(committedInstanceCount)} committed before</span>
  }
  if (committedInstanceCount >= instanceCount) {
    return <Badge icon="seal" word="Committed" tone="success" />
  }
  return (
    <span class="nowrap">
      {countText(committedInstanceCount)} of {countText(instanceCount)} committed
    </span>
  )
}
