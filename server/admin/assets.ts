import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Asset {
  bytes: Uint8Array<ArrayBuffer>
  contentType: string
  /** Of the content, so that a browser asks but does not load again. */
  etag: string
}

const contentTypes: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const folder = fileURLToPath(new URL('../../web/assets/', import.meta.url))

/** Reads all assets of the page, once: they are some 70 KB. Names are paths below `web/assets`. */
export function readAssets(): Map<string, Asset> {
  const assets = new Map<string, Asset>()
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const contentType = contentTypes[extname(name)]
    if (contentType === undefined) continue
    const bytes = new Uint8Array(readFileSync(join(folder, name)))
    const digest = createHash('sha256').update(bytes).digest('base64url').slice(0, 22)
    assets.set(name.replaceAll('\\', '/'), { bytes, contentType, etag: `"${digest}"` })
  }
  return assets
}

export function answerAsset(asset: Asset, ifNoneMatch: string | undefined): Response {
  // "no-cache" keeps it, and asks each time: an update of the server must not meet an old script.
  const headers = { etag: asset.etag, 'cache-control': 'no-cache' }
  if (ifNoneMatch?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === asset.etag)) {
    return new Response(null, { status: 304, headers })
  }
  return new Response(asset.bytes, { headers: { ...headers, 'content-type': asset.contentType } })
}
