import { type Place, placeOf } from './paths.ts'

export const themes = ['auto', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

/** What a reader has chosen. It is kept in cookies and read by the server, so that it holds on all pages and nothing flashes. */
export interface Preferences {
  theme: Theme
  /** Names, IDs and pictures of patients are hidden from whoever looks over the shoulder. */
  isPrivate: boolean
}

/** Where a page is, and how its reader wants it. */
export interface Visit extends Place, Preferences {}

export function visitOf(request: Request): Visit {
  const cookies = request.headers.get('cookie') ?? ''
  const theme = /(?:^|;\s*)theme=(light|dark)(?:;|$)/.exec(cookies)?.[1] as Theme | undefined
  return {
    ...placeOf(request),
    theme: theme ?? 'auto',
    isPrivate: /(?:^|;\s*)patients=hidden(?:;|$)/.test(cookies),
  }
}
