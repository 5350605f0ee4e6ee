import { takesCoding } from '../http/content-coding.ts'
import { type DeflatedPart, DeflatedStream, deflatePart } from '../http/deflated-stream.ts'
import type { LiveNews, LiveView } from '../live/live-view.ts'
import type { Log } from '../log.ts'

/** A region as it is sent, and what differs when it has changed. */
export interface Told {
  html: string
  sign: string
}

/** News as they are sent. Made once for all who are told them, which is most of what a message costs. */
interface Message {
  bytes: Uint8Array
  deflated?: DeflatedPart
}

const messages = new WeakMap<LiveNews<Told>, Message>()
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
  const isDeflated = takesCoding(request.headers.get('accept-encoding'), 'deflate')
  const headers = {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    vary: 'accept-encoding',
    ...(isDeflated ? { 'content-encoding': 'deflate' } : {}),
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
  const deflated = isDeflated ? new DeflatedStream() : undefined
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      if (isDeflated) controller.enqueue(DeflatedStream.beginning)
    },
    // Asked only when the client has taken the last message, so that none pile up for a slow one.
    async pull(controller) {
      try {
        if (held === undefined) {
          const next = await news.next()
          held = next.done ? undefined : next.value
        }
        if (held === undefined) return end(controller)
        const message = messageOf(held)
        held = undefined
        controller.enqueue(deflated ? deflated.add(deflatedOf(message)) : message.bytes)
      } catch (error) {
        log.debug('a live stream ended', { error: (error as Error).name })
        end(controller)
      }
    },
    cancel: leave,
  })
  function end(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (deflated !== undefined) controller.enqueue(deflated.end())
    controller.close()
  }
  return new Response(body, { headers })
}

function messageOf(news: LiveNews<Told>): Message {
  const message = messages.get(news) ?? { bytes: encoder.encode(eventOf(news)) }
  messages.set(news, message)
  return message
}

function deflatedOf(message: Message): DeflatedPart {
  message.deflated ??= deflatePart(message.bytes)
  return message.deflated
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
