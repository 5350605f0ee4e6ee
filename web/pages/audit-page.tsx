/** @jsxImportSource hono/jsx */
import type { ListedAuditEvent } from '../../db/audit.ts'
import type { AuditAction } from '../../db/schema.ts'
import { Layout, type Shell } from '../layout.tsx'
import { Instant } from '../parts/instant.tsx'
import { countOf, countText } from '../parts/quantity.tsx'
import { Badge, type Sign } from '../parts/state-badge.tsx'
import { paths } from '../paths.ts'

export interface AuditList {
  /** The newest first. */
  events: ListedAuditEvent[]
  /** What the form asks for; empty: anything. */
  asked: Record<'action' | 'actor' | 'source' | 'study' | 'from' | 'until', string>
  /** The place from which on there are older ones. */
  older: string | undefined
  isNewest: boolean
}

interface AuditPageProps {
  shell?: Shell | undefined
  list: AuditList
}

/** In the order of the choice; what each of them is called on the page. */
const words: Record<AuditAction, string> = {
  store: 'Stored',
  search: 'Searched',
  view: 'Looked at',
  retrieve: 'Retrieved',
  export: 'Exported',
  follow: 'Followed the feed',
  commit: 'Asked for commitment',
  act: 'Acted',
  delete: 'Deleted',
  configure: 'Configured',
  'sign-in': 'Signed in',
  'sign-out': 'Signed out',
  denied: 'Not let in',
  audit: 'Read the audit log',
  start: 'Server started',
  stop: 'Server stopped',
}

const outcomeSigns: Record<number, Sign> = {
  0: { icon: 'tick', word: 'Done', tone: 'success' },
  4: { icon: 'cross', word: 'Refused', tone: 'waiting' },
  8: { icon: 'broken', word: 'Failed', tone: 'danger' },
}

/** Who stored, saw, changed and deleted what. */
export function AuditPage({ shell, list }: AuditPageProps) {
  const { asked } = list
  const isFiltered = Object.values(asked).some((value) => value !== '')
  return (
    <Layout title="Audit" current="audit" shell={shell}>
      <h1>Audit</h1>
      <p class="muted">
        Who stored, saw, changed and deleted what. Events are added and never changed. Reads of
        single instances, searches and refusals are counted by the minute.
      </p>
      <search>
        <form method="get" action={paths.audit}>
          <div class="fields">
            <div class="field">
              <label for="action">What</label>
              <select id="action" name="action">
                <option value="">Anything</option>
                {Object.entries(words).map(([action, word]) => (
                  <option value={action} selected={action === asked.action}>
                    {word}
                  </option>
                ))}
              </select>
            </div>
            <Field name="actor" label="Who" hint="user:ann" asked={asked} />
            <Field name="source" label="From where" hint="10.0.0.7" asked={asked} />
            <Field name="study" label="Study Instance UID" asked={asked} />
            <Field name="from" label="From (UTC)" type="date" asked={asked} />
            <Field name="until" label="to" type="date" asked={asked} />
            <button type="submit">Search</button>
            {isFiltered && <a href={paths.audit}>Clear</a>}
          </div>
        </form>
      </search>
      <Events list={list} />
      <p>
        The same as a file, from the oldest on:{' '}
        <a href={`${paths.auditExport}${queryOf({ ...asked, format: 'csv' })}`}>CSV</a>,{' '}
        <a href={`${paths.auditExport}${queryOf({ ...asked, format: 'ndjson' })}`}>NDJSON</a>
      </p>
    </Layout>
  )
}

interface FieldProps {
  name: keyof AuditList['asked']
  label: string
  hint?: string
  type?: 'text' | 'date'
  asked: AuditList['asked']
}

function Field({ name, label, hint, type = 'text', asked }: FieldProps) {
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <input
        id={name}
        name={name}
        type={type}
        value={type === 'date' ? asked[name].slice(0, 10) : asked[name]}
        placeholder={hint}
        maxlength={200}
        autocomplete="off"
      />
    </div>
  )
}

function Events({ list: { events, asked, older, isNewest } }: { list: AuditList }) {
  if (events.length === 0) return <p class="empty">Nothing of this kind has happened.</p>
  return (
    <>
      <table class="audit">
        <caption>
          {isNewest ? 'The newest ' : ''}
          {countOf(events.length, 'event')}
        </caption>
        <thead>
          <tr>
            <th scope="col">When (UTC)</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            <th scope="col">Study</th>
            <th scope="col" class="number">
              Times
            </th>
            <th scope="col">Result</th>
          </tr>
        </thead>
        <tbody>
          {events.map((event) => (
            <Row event={event} />
          ))}
        </tbody>
      </table>
      <nav class="paging" aria-label="Pages of the list">
        {!isNewest && <a href={`${paths.audit}${queryOf(asked)}`}>Newest</a>}
        {older !== undefined && (
          <a href={`${paths.audit}${queryOf({ ...asked, beyond: older })}`}>Older</a>
        )}
      </nav>
    </>
  )
}

function Row({ event }: { event: ListedAuditEvent }) {
  const { studyInstanceUID, transferID, instanceCount } = event
  return (
    <tr>
      <td class="instant" data-label="When">
        <Instant at={event.at} />
      </td>
      <td>
        {event.actor ?? <span class="muted">not known</span>}
        <small>{event.source ?? 'this server'}</small>
      </td>
      <td>
        {words[event.action]}
        {instanceCount !== null && ` ${countOf(instanceCount, 'instance')}`}
        {event.what !== null && <small>{event.what}</small>}
      </td>
      <td>
        {studyInstanceUID !== null && (
          <a class="uid" href={paths.study(studyInstanceUID)}>
            {studyInstanceUID}
          </a>
        )}
        {transferID !== null && (
          <small>
            <a href={paths.transfer(transferID)}>Transfer {transferID.slice(0, 8)}</a>
          </small>
        )}
      </td>
      <td class="number" data-label="Times">
        {countText(event.eventCount)}
      </td>
      <td>
        <Badge {...(outcomeSigns[event.outcome] as Sign)} />
      </td>
    </tr>
  )
}

function queryOf(values: Record<string, string>): string {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== ''))
  return query.size === 0 ? '' : `?${query}`
}
