import { setTimeout as delay } from 'node:timers/promises'
import { WholeResponse } from '../../server/http/whole-response.ts'
import { listenNodeHttp } from '../../server/listen/node-http.ts'

// A server with handlers that misuse a connection in every way that ours might. Started by http.test.ts as a process of
// its own, under each runtime.

/** What became of the body of a request, by the `case` in its query. */
const outcomes = new Map<string, unknown>()
let producedBytes = 0
let isSourceCancelled = false

async function handle(request: Request): Promise<Response> {
  const url = new URL(request.url)
  switch (url.pathname) {
    case '/read':
      return read(request, url.searchParams)
    case '/refuse':
      return new Response('too large', { status: 413 })
    case '/refuse-later':
      return refuseLater(request, url.searchParams.has('cancel'))
    case '/refuse-whole':
      return new WholeResponse('too large', { status: 413 })
    case '/ignore':
      return new Response('ignored')
    case '/outcome':
      return Response.json(outcomes.get(url.searchParams.get('case') ?? '') ?? null)
    case '/memory':
      return Response.json({ residentBytes: process.memoryUsage().rss })
    case '/endless':
      return new Response(endless())
    case '/endless-late':
      await delay(300)
      return new Response(endless())
    case '/produced':
      return Response.json({ producedBytes, isSourceCancelled })
    case '/breaks':
      return new Response(breaking())
    case '/throws':
      throw new Error('a secret of the handler')
    case '/text':
      return new WholeResponse(await request.text(), { headers: { 'x-of': 'text' } })
    case '/json':
      return Response.json(await request.json())
    case '/form':
      return Response.json([...(await request.formData())])
    case '/left':
      request.signal.addEventListener('abort', () => outcomes.set('left', 'aborted'))
      await delay(700)
      return new Response('not left')
    case '/slow':
      await delay(700)
      return new Response('slow')
    case '/cookies':
      return new Response('x', {
        headers: [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
        ],
      })
    default:
      return Response.json({ url: request.url, method: request.method })
  }
}

async function read(request: Request, query: URLSearchParams): Promise<Response> {
  const [name, slowMs] = [query.get('case') ?? '', Number(query.get('slow') ?? 0)]
  let bytes = 0
  try {
    for await (const chunk of request.body as ReadableStream<Uint8Array>) {
      bytes += chunk.byteLength
      if (slowMs > 0) await delay(slowMs)
    }
    outcomes.set(name, { ended: 'whole', bytes })
  } catch (error) {
    outcomes.set(name, { ended: (error as Error).name, bytes })
  }
  return Response.json({ bytes })
}

async function refuseLater(request: Request, cancels: boolean): Promise<Response> {
  const reader = (request.body as ReadableStream<Uint8Array>).getReader()
  await reader.read()
  await delay(100)
  if (cancels) await reader.cancel()
  return new Response('of a kind we do not take', { status: 415 })
}

function endless(): ReadableStream<Uint8Array> {
  const block = new Uint8Array(65_536)
  producedBytes = 0
  isSourceCancelled = false
  return new ReadableStream(
    {
      pull(controller) {
        producedBytes += block.byteLength
        controller.enqueue(block)
      },
      cancel() {
        isSourceCancelled = true
      },
    },
    { highWaterMark: 0 },
  )
}

function breaking(): ReadableStream<Uint8Array> {
  let pulls = 0
  return new ReadableStream({
    async pull(controller) {
      pulls += 1
      if (pulls > 3) throw new Error('the disk is gone')
      await delay(20)
      controller.enqueue(new Uint8Array(1000))
    },
  })
}

const listener = await listenNodeHttp(handle, {
  hostname: '127.0.0.1',
  port: Number(process.argv[2]),
  onFault: (error) => console.error(`fault: ${(error as Error).message}`),
})
process.on('SIGTERM', async () => {
  await listener.stop(3000)
  process.exit(0)
})
console.log('listening')
