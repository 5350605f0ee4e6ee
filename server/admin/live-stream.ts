import type { LiveNews, LiveView } from '../live/live-view.ts'
import type { Log } from '../log.ts'

/** A region as it is sent, and what differs when it has changed. */
export interface Told {
  html: string
  sign: string
}

const encoder = new TextEncoder()

/**
 * Answers with a stream of server-sent events: each message is the HTML of what changed.
 *
 * It ends when the client goes away, when the hub stops, or when the view cannot be read. Nothing of an
 * error reaches the client.
 *
 * @throws What the first look at the view threw: then there is no stream yet, but a problem.
 */
export async function streamLive(
  request: Request,
  view: LiveView<Told>,
  log: Log,
): Promise<Response> {
  const headers = {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    // For nginx, which would hold messages back.
    'x-accel-buffering': 'no',
  }
  // An answer to HEAD is never read, so nothing would ever end it.
  if (request.method === 'HEAD') return new Response(null, { headers })
  const left = new AbortController()
  const news = view.watch(left.signal)
  const leave = () => {
    left.abort()
    void news.return()
  }
  request.signal.addEventListener('abort', leave)
  const first = await news.next()
  let held: LiveNews<Told> | undefined = first.done ? undefined : first.value
  const body = new ReadableStream<Uint8Array>({
    // Asked only when the client has taken the last message, so that none pile up for a slow one.
    async pull(controller) {
      try {
        if (held === undefined) {
          const next = await news.next()
          held = next.done ? undefined : next.value
        }
        if (held === undefined) return controller.close()
        controller.enqueue(encoder.encode(eventOf(held)))
        held = undefined
      } catch (error) {
        log.debug('a live stream ended', { error: (error as Error).name })
        controller.close()
      }
    },
    cancel: leave,
  })
  return new Response(body, { headers })
}

/** One event; without news a comment, which keeps proxies from closing the connection. */
function eventOf(news: LiveNews<Told>): string {
  if (news.size === 0) return ': still here\n\n'
  const lines = [...news.values()]
    .map(({ html }) => html)
    .join('\n')
    .split(/\r\n|\r|\n/)
  return `${lines.map((line) => `data: ${line}`).join('\n')}\n\n`
}
