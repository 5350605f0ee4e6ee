/** @jsxImportSource hono/jsx */
import type { DamagedInstance, Integrity as IntegrityFacts } from '../../db/study-safety.ts'
import { paths } from '../paths.ts'
import { Instant } from './instant.tsx'
import { bytesText, countOf, countText } from './quantity.tsx'

export interface IntegrityView {
  studyInstanceUID: string
  instanceCount: number
  byteLength: number
  damagedInstanceCount: number
  integrity: IntegrityFacts
  /** The first of them. */
  damaged: DamagedInstance[]
}

/** When the bytes were read again, and which are not what came. */
export function Integrity({ view }: { view: IntegrityView }) {
  const { instanceCount, byteLength, integrity, damaged, damagedInstanceCount } = view
  const { verifiedCount, firstVerifiedAt, lastVerifiedAt, segmentCount } = integrity
  return (
    <>
      <p>
        {bytesText(byteLength)} in {countOf(segmentCount, 'segment')}; of each instance the SHA-256
        is kept that it had when it came.{' '}
        {firstVerifiedAt === null || lastVerifiedAt === null ? (
          'The check in the background has not come round to it yet.'
        ) : verifiedCount < instanceCount ? (
          <>
            {countText(verifiedCount)} of {countText(instanceCount)} instances were read again since
            they came, the last at <Instant at={lastVerifiedAt} /> (UTC).
          </>
        ) : (
          <>
            All of it was read again since it came, last at <Instant at={firstVerifiedAt} /> (UTC).
          </>
        )}
        {damagedInstanceCount === 0 && ' No damage is known.'}
      </p>
      {damaged.length > 0 && <DamagedTable view={view} />}
    </>
  )
}

function DamagedTable({ view }: { view: IntegrityView }) {
  const { studyInstanceUID, damaged, damagedInstanceCount } = view
  return (
    <>
      <p class="notice" data-tone="danger">
        {damagedInstanceCount === 1
          ? 'The bytes of one instance are not what came.'
          : `The bytes of ${countText(damagedInstanceCount)} instances are not what came.`}{' '}
        They cannot be mended from here: delete each so that it may come again, and ask its sender
        for it.
      </p>
      <table class="damaged">
        <caption>
          {damaged.length < damagedInstanceCount
            ? `First ${countText(damaged.length)} of ${countText(damagedInstanceCount)} damaged instances`
            : countOf(damaged.length, 'damaged instance')}
        </caption>
        <thead>
          <tr>
            <th scope="col">Number</th>
            <th scope="col">Instance</th>
            <th scope="col">Found (UTC)</th>
            <th scope="col">Committed before (UTC)</th>
          </tr>
        </thead>
        <tbody>
          {damaged.map((one) => (
            <tr class="linked">
              <td data-label="Number">{one.instanceNumber}</td>
              <td>
                <a
                  class="uid"
                  href={paths.instance(studyInstanceUID, one.seriesInstanceUID, one.sopInstanceUID)}
                  data-row
                >
                  {one.sopInstanceUID}
                </a>
              </td>
              <td class="instant" data-label="Found">
                <Instant at={one.damagedAt} />
              </td>
              <td class="instant" data-label="Committed before">
                {one.committedAt === null ? 'no' : <Instant at={one.committedAt} />}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}
