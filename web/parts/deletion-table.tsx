/** @jsxImportSource hono/jsx */
import type { Deletion } from '../../db/deletions.ts'
import type { May } from '../may.ts'
import { paths } from '../paths.ts'
import { Instant } from './instant.tsx'
import { countOf, countText } from './quantity.tsx'

/** Deletions, the newest first. */
export function DeletionTable({ deletions }: { deletions: Deletion[] }) {
  return (
    <table class="deletions">
      <caption>{countOf(deletions.length, 'deletion')}</caption>
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col" class="number">
            Instances
          </th>
          <th scope="col">Why</th>
          <th scope="col">From</th>
          <th scope="col">When (UTC)</th>
        </tr>
      </thead>
      <tbody>
        {deletions.map((one) => (
          <tr>
            <td>
              {whatWords[one.level]}
              {one.level !== 'study' && (
                <small class="uid">{one.sopInstanceUID ?? one.seriesInstanceUID}</small>
              )}
            </td>
            <td class="number" data-label="Instances">
              {countText(one.instanceCount)}
            </td>
            <td>{one.reason ?? <span class="muted">no reason was given</span>}</td>
            <td data-label="From">{one.sender}</td>
            <td class="instant" data-label="When">
              <Instant at={one.deletedAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

const whatWords = { study: 'The study', series: 'A series', instance: 'An instance' } as const

interface AllowResendProps {
  studyInstanceUID: string
  refusedCount: number
  may: May
}

/** What becomes of deleted instances that come again, and the way to let them. */
export function AllowResend({ studyInstanceUID, refusedCount, may }: AllowResendProps) {
  if (refusedCount === 0) {
    return (
      <p>
        Whatever of it comes again is stored as if it were new. The sender has to send it; nothing
        brings it back from here.
      </p>
    )
  }
  const isOne = refusedCount === 1
  return (
    <>
      <p>
        {isOne ? 'One deleted instance is' : `${countText(refusedCount)} deleted instances are`}{' '}
        refused (C410) if {isOne ? 'it comes' : 'they come'} again, and the sender is told why.
        Others of the study are stored.
      </p>
      {may('POST /studies/:study/allow-resend') && (
        <form method="post" action={paths.allowResend(studyInstanceUID)}>
          <button class="second" type="submit">
            {isOne
              ? 'Allow it to come again'
              : `Allow all ${countText(refusedCount)} to come again`}
          </button>
        </form>
      )}
    </>
  )
}
