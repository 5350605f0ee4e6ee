/** @jsxImportSource hono/jsx */
import type { Deletion } from '../../db/deletions.ts'
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
