/** @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx'
import { paths } from './paths.ts'

/** How htmx behaves on every page. `morphIgnore` keeps what a reader has opened. */
const htmxConfig = JSON.stringify({
  extensions: 'sse',
  morphIgnore: ['data-htmx-powered', 'open'],
  defaultTimeout: 15_000,
  history: true,
  transitions: false,
})

interface LayoutProps {
  title: string
  /** The page in the navigation that this one is, or belongs to. */
  current?: 'studies' | 'upload'
  children: Child
}

export function Layout({ title, current, children }: LayoutProps) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>{title} · Stowage</title>
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        {/* Not "no-referrer": with that, browsers send a form with `Origin: null`, as a foreign page would. */}
        <meta name="referrer" content="same-origin" />
        <meta name="htmx-config" content={htmxConfig} />
        <link rel="icon" href={paths.asset('mark.svg')} type="image/svg+xml" />
        <link rel="stylesheet" href={paths.asset('base.css')} />
        <link rel="stylesheet" href={paths.asset('app.css')} />
      </head>
      <body>
        <a class="skip" href="#main">
          Skip to content
        </a>
        <header class="bar">
          <a class="mark" href={paths.studies}>
            Stowage
          </a>
          <nav aria-label="Pages">
            <NavigationLink href={paths.studies} isCurrent={current === 'studies'}>
              Studies
            </NavigationLink>
            <NavigationLink href={paths.upload} isCurrent={current === 'upload'}>
              Upload
            </NavigationLink>
          </nav>
        </header>
        <main id="main" tabindex={-1}>
          {children}
        </main>
        {/* Not deferred: htmx begins when the document is read, or at once if it is, and must not begin
            before its extension is here. `live.js` is first, to hear of the first connection. */}
        <script src={paths.asset('live.js')} />
        <script src={paths.asset('vendor/htmx.min.js')} />
        <script src={paths.asset('vendor/hx-sse.js')} />
      </body>
    </html>
  )
}

interface NavigationLinkProps {
  href: string
  isCurrent: boolean
  children: Child
}

function NavigationLink({ href, isCurrent, children }: NavigationLinkProps) {
  return (
    <a href={href} {...(isCurrent ? { 'aria-current': 'page' as const } : {})}>
      {children}
    </a>
  )
}
