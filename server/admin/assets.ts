import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

export interface Asset {
  bytes: Uint8Array<ArrayBuffer>
  /** The same as gzip. */
  zipped: Uint8Array<ArrayBuffer>
  contentType: string
  /** Of the content, so that a browser asks but does not load again; weak, because it is that of both forms. (RFC 9110 8.8.3) */
  etag: string
}

const contentTypes: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const folder = fileURLToPath(new URL('../../web/assets/', import.meta.url))

/** Reads all assets of the page, once: they are some 100 KB, and 30 KB as gzip. Names are paths below `web/assets`. */
export function readAssets(): Map<string, Asset> {
  const assets = new Map<string, Asset>()
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const contentType = contentTypes[extname(name)]
    if (contentType === undefined) continue
    const bytes = new Uint8Array(readFileSync(join(folder, name)))
    const digest = createHash('sha256').update(bytes).digest('base64url').slice(0, 22)
    assets.set(name.replaceAll('\\', '/'), {
      bytes,
      zipped: new Uint8Array(gzipSync(bytes, { level: 9 })),
      contentType,
      etag: `W/"${digest}"`,
    })
  }
  return assets
}

export function answerAsset(
  asset: Asset,
  ifNoneMatch: string | undefined,
  isZipped: boolean,
): Response {
  // "no-cache" keeps it, and asks each time: an update of the server must not meet an old script.
  const headers = {
    etag: asset.etag,
    'cache-control': 'no-cache',
    vary: 'accept-encoding',
  }
  const opaque = asset.etag.slice(2)
  if (ifNoneMatch?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === opaque)) {
    return new Response(null, { status: 304, headers })
  }
  return new Response(isZipped ? asset.zipped : asset.bytes, {
    headers: {
      ...headers,
      'content-type': asset.contentType,
      ...(isZipped ? { 'content-encoding': 'gzip' } : {}),
    },
  })
}
