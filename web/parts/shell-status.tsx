/** @jsxImportSource hono/jsx */
import type { PageName, ShellSigns } from '../layout.tsx'
import { paths } from '../paths.ts'
import { Icon } from './icon.tsx'
import { countText } from './quantity.tsx'

interface ShellStatusProps {
  status: ShellSigns | undefined
  current?: PageName | undefined
}

const icons = { success: 'tick', waiting: 'clock', danger: 'cross' } as const

/** The overall sign and the pages, with what is to be looked at: the same on every page, and live. */
export function ShellStatus({ status, current }: ShellStatusProps) {
  return (
    <>
      {status && (
        <a class="sign badge" data-tone={status.tone} href={paths.health}>
          <Icon name={icons[status.tone]} />
          {status.word}
        </a>
      )}
      <nav aria-label="Pages">
        <Page name="studies" href={paths.studies} current={current}>
          Studies
        </Page>
        <Page
          name="transfers"
          href={paths.transfers}
          current={current}
          count={status?.receivingCount}
          counted="running"
        >
          Transfers
        </Page>
        <Page
          name="problems"
          href={paths.problems}
          current={current}
          count={status?.refusedCount}
          counted="refused since yesterday"
        >
          Problems
        </Page>
        <Page
          name="commitments"
          href={paths.commitments}
          current={current}
          count={status?.waitingCommitmentCount}
          counted="waiting"
        >
          Commitments
        </Page>
        <Page name="changes" href={paths.changes} current={current}>
          Changes
        </Page>
        <Page
          name="webhooks"
          href={paths.webhooks}
          current={current}
          count={status?.deadDeliveryCount}
          counted="not delivered"
        >
          Webhooks
        </Page>
        <Page name="upload" href={paths.upload} current={current}>
          Upload
        </Page>
        <Page name="health" href={paths.health} current={current}>
          Health
        </Page>
        <Page name="audit" href={paths.audit} current={current}>
          Audit
        </Page>
      </nav>
    </>
  )
}

interface PageProps {
  name: PageName
  href: string
  current?: PageName | undefined
  /** Shown unless it is zero; those from 1000 on are "999+". */
  count?: number | undefined
  counted?: string
  children: string
}

function Page({ name, href, current, count = 0, counted, children }: PageProps) {
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
