/** @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx'

/** A part of a page that changes by itself. */
export interface LiveRegion {
  /** Of the element. */
  id: string
  /** Equal as long as there is nothing to tell. Default: what it shows. */
  sign?: string
  /** Takes the place of the element itself, and not of what is in it. */
  isWhole?: boolean
  /** A list whose rows are regions of their own: `live.js` lets it wait while somebody reads it. */
  isList?: boolean
  content: Child
}

/** One region, as htmx swaps it. */
export function LivePartial({ region: { id, isWhole, isList, content } }: { region: LiveRegion }) {
  return (
    <hx-partial
      hx-target={`#${id}`}
      hx-swap={isWhole ? 'outerMorph' : 'innerMorph'}
      {...(isList ? { 'data-list': true } : {})}
    >
      {content}
    </hx-partial>
  )
}
