import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { networkOf, Shares } from '../http/overload.ts'
import { OperatorError } from '../operator-error.ts'
import { sendAnswer } from './answer.ts'
import { followCertificate, readCertificate } from './certificate.ts'
import type { Fetch, Listener, ListenOptions } from './host.ts'
import { IncomingRequest, type Scheme } from './incoming-request.ts'

/** Milliseconds for the head of a request; there is no limit for the whole, as a study may take hours. */
const HEAD_MS = 60_000

/** Milliseconds for the handshake of TLS. */
const HANDSHAKE_MS = 20_000

/** Milliseconds that an unused connection is kept: longer than proxies do (60 s), so that they close first. */
const KEEP_ALIVE_MS = 75_000

/**
 * Serves a `fetch` handler over `node:http`, which Bun and Deno have too.
 *
 * Decision 3 says why this is not each runtime's own server, nor the adapter of Hono.
 */
export async function listenNodeHttp(fetch: Fetch, options: ListenOptions): Promise<Listener> {
  const timeouts = {
    requestTimeout: 0,
    headersTimeout: HEAD_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
  }
  const server =
    options.tls === undefined
      ? createServer(timeouts)
      : createTlsServer({
          ...timeouts,
          ...(await readCertificate(options.tls)),
          minVersion: 'TLSv1.2',
          handshakeTimeout: HANDSHAKE_MS,
        })
  const scheme = options.tls === undefined ? 'http' : 'https'
  const underWay = new Set<ServerResponse>()
  const sockets = new Set<Socket>()
  const connections = new Shares(options.maxConnections ?? Number.POSITIVE_INFINITY)
  server.on('connection', (socket) => {
    const network = networkOf(socket.remoteAddress)
    const met = connections.take(network)
    if (met !== undefined) {
      options.onRefused?.(met)
      socket.destroy()
      return
    }
    sockets.add(socket)
    socket.on('close', () => {
      sockets.delete(socket)
      connections.giveBack(network)
    })
  })
  function handle(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    expectsContinue: boolean,
  ): void {
    underWay.add(outgoing)
    outgoing.on('close', () => underWay.delete(outgoing))
    // A write after the client left; `close` tells it too.
    outgoing.on('error', () => {})
    serveOne(fetch, options, scheme, incoming, outgoing, expectsContinue).catch((error) => {
      options.onFault(error)
      outgoing.destroy()
    })
  }
  server.on('request', (incoming, outgoing) => handle(incoming, outgoing, false))
  // Without this Node says 100 Continue by itself, before anybody has looked at the head.
  server.on('checkContinue', (incoming, outgoing) => handle(incoming, outgoing, true))
  await bind(server, options)
  const unfollow =
    options.tls && followCertificate(server as TlsServer, options.tls, options.onFault)
  const { port } = server.address() as AddressInfo
  const hostname = options.hostname.includes(':') ? `[${options.hostname}]` : options.hostname
  return {
    url: `${scheme}://${hostname}:${port}`,
    port,
    stop(graceMs) {
      unfollow?.()
      return stop(server, underWay, sockets, graceMs)
    },
  }
}

async function serveOne(
  fetch: Fetch,
  options: ListenOptions,
  scheme: Scheme,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  expectsContinue: boolean,
): Promise<void> {
  let response: Response
  try {
    const request = toRequest(incoming, outgoing, scheme, expectsContinue)
    response =
      request === undefined
        ? new Response(null, { status: 400 })
        : await fetch(request, { address: incoming.socket.remoteAddress })
  } catch (error) {
    options.onFault(error)
    response = new Response(null, { status: 500 })
  }
  const sending = sendAnswer(response, incoming, outgoing)
  if (sending !== undefined) await sending
}

function toRequest(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  scheme: Scheme,
  expectsContinue: boolean,
): Request | undefined {
  try {
    const request = new IncomingRequest(incoming, outgoing, scheme, () => {
      if (expectsContinue && !outgoing.headersSent) outgoing.writeContinue()
    })
    return request as unknown as Request
  } catch {
    return undefined
  }
}

function bind(server: Server, { hostname, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = BIND_ERRORS[cause.code ?? ''] ?? cause.message
      reject(new OperatorError(`Cannot listen on ${hostname}:${port}: ${why}`, { cause }))
    })
    server.listen({ host: hostname, port }, () => resolve())
  })
}

const BIND_ERRORS: Record<string, string> = {
  EADDRINUSE: 'something else does already; stop it or set STOWAGE_PORT to another port',
  EADDRNOTAVAIL: 'this machine has no such address; set STOWAGE_HOST to one of its own',
  EACCES: 'only root may use that port; set STOWAGE_PORT to one above 1023',
  ENOTFOUND: 'there is no such host; set STOWAGE_HOST to an address of this machine',
}

async function stop(
  server: Server,
  underWay: Set<ServerResponse>,
  sockets: Set<Socket>,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const busy = new Set<Socket>()
  for (const outgoing of underWay) {
    const { socket } = outgoing.req
    busy.add(socket)
    if (!outgoing.headersSent) outgoing.setHeader('connection', 'close')
    // Its head may have promised to keep the connection.
    outgoing.on('close', () => socket.destroySoon())
  }
  // Also those that never sent a request, which Node does not count as idle.
  for (const socket of sockets) if (!busy.has(socket)) socket.destroy()
  const timer = setTimeout(() => {
    for (const socket of sockets) socket.destroy()
  }, graceMs)
  await closed
  clearTimeout(timer)
}
