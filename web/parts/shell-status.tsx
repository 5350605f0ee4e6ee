/** @jsxImportSource hono/jsx */
import type { PageName, ShellSigns } from '../layout.tsx'
import type { May } from '../may.ts'
import { paths } from '../paths.ts'
import { Icon } from './icon.tsx'
import { countText } from './quantity.tsx'

interface ShellStatusProps {
  status: ShellSigns | undefined
  current?: PageName | undefined
  may: May
}

const icons = { success: 'tick', waiting: 'clock', danger: 'cross' } as const

/** The overall sign and the pages, with what is to be looked at: the same on every page, and live. */
export function ShellStatus({ status, current, may }: ShellStatusProps) {
  return (
    <>
      {status && <OverallSign status={status} may={may} />}
      <nav aria-label="Pages">
        <Page name="studies" isOffered={may('GET /')} href={paths.studies} current={current}>
          Studies
        </Page>
        <Page
          name="transfers"
          isOffered={may('GET /transfers')}
          href={paths.transfers}
          current={current}
          count={status?.receivingCount}
          counted="running"
        >
          Transfers
        </Page>
        <Page
          name="problems"
          isOffered={may('GET /problems')}
          href={paths.problems}
          current={current}
          count={status?.refusedCount}
          counted="refused since yesterday"
        >
          Problems
        </Page>
        <Page
          name="commitments"
          isOffered={may('GET /commitments')}
          href={paths.commitments}
          current={current}
          count={status?.waitingCommitmentCount}
          counted="waiting"
        >
          Commitments
        </Page>
        <Page name="changes" isOffered={may('GET /feed')} href={paths.changes} current={current}>
          Changes
        </Page>
        <Page
          name="webhooks"
          isOffered={may('GET /webhooks')}
          href={paths.webhooks}
          current={current}
          count={status?.deadDeliveryCount}
          counted="not delivered"
        >
          Webhooks
        </Page>
        <Page name="upload" isOffered={may('GET /upload')} href={paths.upload} current={current}>
          Upload
        </Page>
        <Page name="health" isOffered={may('GET /health')} href={paths.health} current={current}>
          Health
        </Page>
        <Page name="audit" isOffered={may('GET /audit')} href={paths.audit} current={current}>
          Audit
        </Page>
      </nav>
    </>
  )
}

function OverallSign({ status, may }: { status: ShellSigns; may: May }) {
  const { tone, word } = status
  const content = (
    <>
      <Icon name={icons[tone]} />
      {word}
    </>
  )
  return may('GET /health') ? (
    <a class="sign badge" data-tone={tone} href={paths.health}>
      {content}
    </a>
  ) : (
    <span class="sign badge" data-tone={tone}>
      {content}
    </span>
  )
}

interface PageProps {
  name: PageName
  isOffered: boolean
  href: string
  current?: PageName | undefined
  /** Shown unless it is zero; those from 1000 on are "999+". */
  count?: number | undefined
  counted?: string
  children: string
}

function Page({ name, isOffered, href, current, count = 0, counted, children }: PageProps) {
  if (!isOffered) return null
  return (
    <a href={href} {...(name === current ? { 'aria-current': 'page' as const } : {})}>
      {children}
      {count > 0 && (
        <span class="count">
          {count < 1000 ? countText(count) : '999+'}
          <span class="unseen"> {counted}</span>
        </span>
      )}
    </a>
  )
}
