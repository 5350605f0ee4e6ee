#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import { compile } from './compile.mjs'

// Bun and Deno run TypeScript as it is. Node, in its older versions, needs help.
if ('Bun' in globalThis) {
  await import('../server/main.bun.ts')
} else if ('Deno' in globalThis) {
  await import('../server/main.deno.ts')
} else {
  await startOnNode()
}

async function startOnNode() {
  const [major] = process.versions.node.split('.').map(Number)
  if (major < 20) {
    console.error(`stowage: Cannot run on Node ${process.versions.node}: it needs 20 or later`)
    process.exit(2)
  }
  // What `node --watch` follows are the files that are loaded.
  const compiled = 'WATCH_REPORT_DEPENDENCIES' in process.env ? undefined : await compile()
  if (compiled !== undefined) {
    process.setSourceMapsEnabled(true)
    await import(compiled)
    return
  }
  const { register } = await import('tsx/esm/api')
  // By its path: tsx would look for one in the working folder, which is anybody's, and JSX would mean React.
  register({ tsconfig: fileURLToPath(new URL('../tsconfig.json', import.meta.url)) })
  await import('../server/main.node.ts')
}
