/** @jsxImportSource hono/jsx */
import type { Shell } from './layout.tsx'
import { ProblemPage } from './pages/problem-page.tsx'
import { visitOf } from './preferences.ts'

/** What a component returns; ours are synchronous, so it always is text. */
export type Markup = { toString(): string | Promise<string> }

/** Markup as text. */
export function textOf(markup: Markup): string {
  return String(markup)
}

/** A whole page. Pages show patient data, so nothing on the way keeps them. */
export function htmlResponse(page: Markup, status = 200): Response {
  return new Response(`<!doctype html>\n${textOf(page)}\n`, {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' },
  })
}

/** Whether the client is one that shows pages: browsers name this type, others do not. */
export function wantsPage(request: Request): boolean {
  return request.headers.get('accept')?.includes('text/html') ?? false
}

/**
 * A problem (RFC 9457) as a page, when a browser asked; any other response stays as it is.
 * @param readShell What stands around it: asked for only then.
 */
export async function pageOfProblem(
  request: Request,
  response: Response,
  readShell?: () => Promise<Shell>,
): Promise<Response> {
  const isProblem = response.headers.get('content-type') === 'application/problem+json'
  if (!isProblem || !wantsPage(request)) return response
  const problem = (await response.json()) as {
    title: string
    status: number
    detail: string
    reference?: string
  }
  const shell = await readShell?.()
  const page = htmlResponse(
    <ProblemPage shell={shell} visit={visitOf(request)} {...problem} />,
    problem.status,
  )
  // What else it said, like Retry-After or WWW-Authenticate.
  for (const [name, value] of response.headers) {
    if (!name.startsWith('content-')) page.headers.set(name, value)
  }
  return page
}
