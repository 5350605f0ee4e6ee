import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { constants, createGzip, gzip } from 'node:zlib'
import { takesCoding } from './content-coding.ts'

const compress = promisify(gzip)

/** A page as gzip, a tenth of its bytes, where the client takes that; any other response as it is. */
export async function gzipPage(request: Request, response: Response): Promise<Response> {
  const { headers, status } = response
  if (!headers.get('content-type')?.startsWith('text/html')) return response
  headers.append('vary', 'accept-encoding')
  if (!takesCoding(request.headers.get('accept-encoding'), 'gzip')) return response
  const bytes = await compress(await response.arrayBuffer(), { level: 4 })
  const zipped = new Response(bytes, { status, headers })
  zipped.headers.set('content-encoding', 'gzip')
  zipped.headers.delete('content-length')
  return zipped
}

/** Bytes as gzip, while they are made. */
export async function* gzipped(
  chunks: AsyncGenerator<Uint8Array, void, void>,
): AsyncGenerator<Uint8Array, void, void> {
  const source = Readable.from(chunks, { objectMode: false })
  // JSON of one study repeats itself: the quickest level makes it a tenth already.
  const packed = createGzip({ level: constants.Z_BEST_SPEED, chunkSize: 64 * 1024 })
  const ended = pipeline(source, packed)
  ended.catch(() => {})
  try {
    for await (const chunk of packed) yield chunk as Uint8Array
    await ended
  } finally {
    source.destroy()
    packed.destroy()
  }
}
