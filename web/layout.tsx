/** @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx'
import { type May, mayAll } from './may.ts'
import { KeyHelp } from './parts/key-help.tsx'
import { ShellStatus } from './parts/shell-status.tsx'
import { paths } from './paths.ts'
import { type Theme, themes, type Visit } from './preferences.ts'

/** How htmx behaves on every page. `morphIgnore` keeps what a reader has opened. */
const htmxConfig = JSON.stringify({
  extensions: 'sse',
  morphIgnore: ['data-htmx-powered', 'open', 'data-fresh'],
  defaultTimeout: 15_000,
  history: true,
  transitions: false,
})

/** What stands around every page. */
export interface Shell extends Visit {
  version: string
  /** By the clock of the server: countdowns go by it. */
  now: Date
  /** Not known where something is wrong. */
  status?: ShellSigns | undefined
  /** Then there is a way to sign out. */
  isSignedIn?: boolean
  /** Who is, or whose token was shown. */
  userName?: string | undefined
  /** What he may do. Default: everything. */
  may?: May | undefined
}

/** What the whole is like, and what is to be looked at. Numbers stop at 1000. */
export interface ShellSigns {
  tone: 'success' | 'waiting' | 'danger'
  word: string
  receivingCount: number
  refusedCount: number
  waitingCommitmentCount: number
  deadDeliveryCount: number
}

export type PageName =
  | 'studies'
  | 'transfers'
  | 'problems'
  | 'commitments'
  | 'changes'
  | 'webhooks'
  | 'upload'
  | 'health'
  | 'audit'

interface LayoutProps {
  title: string
  /** The page in the navigation that this one is, or belongs to. */
  current?: PageName
  shell?: Shell | undefined
  /** Where there is no shell, and the page is not at the root. */
  visit?: Visit | undefined
  /** Where its live stream is. Without one the page stands still, and says so. */
  live?: string | undefined
  /** Scripts of this page alone. */
  scripts?: string[]
  children: Child
}

const top: Visit = { root: './', self: './', theme: 'auto', isPrivate: false }

export function Layout(props: LayoutProps) {
  const { title, current, shell, visit = shell ?? top, live, scripts = [], children } = props
  const { root, self, theme, isPrivate } = visit
  const now = shell?.now ?? new Date()
  const may = shell?.may ?? mayAll
  return (
    <html lang="en" data-theme={theme} data-patients={isPrivate ? 'hidden' : undefined}>
      <head>
        <meta charset="utf-8" />
        {/* Before all that has an address. */}
        <base href={root} />
        <title>{title} · Stowage</title>
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content={theme === 'auto' ? 'light dark' : theme} />
        {/* Not "no-referrer": with that, browsers send a form with `Origin: null`, as a foreign page would. */}
        <meta name="referrer" content="same-origin" />
        <meta name="htmx-config" content={htmxConfig} />
        <meta name="server-now" content={now.toISOString()} />
        <link rel="icon" href={paths.asset('mark.svg')} type="image/svg+xml" />
        {['base.css', 'shell.css', 'parts.css', 'drawn.css', 'pages.css'].map((name) => (
          <link rel="stylesheet" href={paths.asset(name)} />
        ))}
      </head>
      <body>
        <a class="skip" href={`${self}#main`}>
          Skip to content
        </a>
        <header class="rail">
          <a class="mark" href={may('GET /') ? paths.studies : paths.upload}>
            Stowage
          </a>
          <div id="shell-status">
            <ShellStatus status={shell?.status} current={current} may={may} />
          </div>
          <RailFoot shell={shell} visit={visit} isLive={live !== undefined} may={may} />
        </header>
        <main id="main" tabindex={-1}>
          <p id="stale" class="notice" data-tone="waiting" role="status" hidden />
          {children}
        </main>
        <p id="announce" class="unseen" role="status" />
        {live !== undefined && <div id="live" hx-sse:connect={live} hx-swap="none" hidden />}
        {/* Not deferred: htmx begins when the document is read, or at once if it is, and must not begin
            before its extension is here. `live.js` is first, to hear of the first connection. */}
        <script src={paths.asset('live.js')} />
        <script src={paths.asset('clock.js')} />
        <script src={paths.asset('keys.js')} />
        <script src={paths.asset('copy.js')} />
        {scripts.map((name) => (
          <script src={paths.asset(name)} />
        ))}
        <script src={paths.asset('vendor/htmx.min.js')} />
        <script src={paths.asset('vendor/hx-sse.js')} />
      </body>
    </html>
  )
}

const themeWords: Record<Theme, string> = { auto: 'System', light: 'Light', dark: 'Dark' }

interface RailFootProps {
  shell?: Shell | undefined
  visit: Visit
  isLive: boolean
  may: May
}

function RailFoot({ shell, visit, isLive, may }: RailFootProps) {
  return (
    <div class="rail-foot">
      {isLive ? (
        // `live.js` keeps it true and makes it a switch; without JavaScript it stays as it is here.
        <button id="live-state" class="quiet" type="button" data-live="off" disabled>
          Reload to see what is new
        </button>
      ) : null}
      <form class="theme" method="post" action={paths.theme}>
        <fieldset>
          <legend class="unseen">Theme</legend>
          {themes.map((theme) => (
            <button
              class="quiet"
              type="submit"
              name="theme"
              value={theme}
              aria-pressed={theme === visit.theme ? 'true' : 'false'}
            >
              {themeWords[theme]}
            </button>
          ))}
        </fieldset>
      </form>
      <form method="post" action={paths.privacy}>
        <button
          class="quiet"
          type="submit"
          name="patients"
          value={visit.isPrivate ? 'shown' : 'hidden'}
          aria-pressed={visit.isPrivate ? 'true' : 'false'}
        >
          Hide patients
        </button>
      </form>
      <KeyHelp may={may} />
      {shell?.userName && <small class="user">Signed in as {shell.userName}</small>}
      {shell?.isSignedIn && (
        <form method="post" action={paths.logout}>
          <button class="quiet" type="submit">
            Sign out
          </button>
        </form>
      )}
      {shell && <small>Stowage {shell.version}</small>}
    </div>
  )
}
