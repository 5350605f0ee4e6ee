import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface PrefixProxy extends AsyncDisposable {
  /** Origin of the proxy: `http://127.0.0.1:4711` */
  origin: string
}

/** A proxy that has `target` below `prefix` ("/stowage") and nothing else, and tells it nothing of that. */
export async function startPrefixProxy(target: string, prefix: string): Promise<PrefixProxy> {
  const server = createServer((asked, answer) => {
    const url = asked.url ?? ''
    if (!url.startsWith(`${prefix}/`)) {
      answer.writeHead(404).end()
      return
    }
    const { method, headers } = asked
    const handedOn = request(target + url.slice(prefix.length), { method, headers }, (got) => {
      answer.writeHead(got.statusCode ?? 502, got.headers)
      got.pipe(answer)
    })
    handedOn.on('error', () => answer.destroy())
    answer.on('close', () => handedOn.destroy())
    asked.pipe(handedOn)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
