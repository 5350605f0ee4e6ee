/** @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx'
import type { May } from '../may.ts'

interface MayLinkProps {
  may: May
  /** What it takes to go there. */
  route: string
  href: string
  class?: string
  /** The link of its row. */
  isRow?: boolean
  children: Child
}

/** A link; for whom it leads nowhere, its words alone. */
export function MayLink({ may, route, href, class: kind, isRow, children }: MayLinkProps) {
  return may(route) ? (
    <a href={href} class={kind} data-row={isRow}>
      {children}
    </a>
  ) : (
    <span class={kind}>{children}</span>
  )
}
