#!/usr/bin/env node
// Starts Stowage on Node, which cannot run TypeScript without help in its older versions.
// Bun and Deno run server/main.bun.ts and server/main.deno.ts as they are.

const [major] = process.versions.node.split('.').map(Number)
if (major < 20) {
  console.error(`stowage: Cannot run on Node ${process.versions.node}: it needs 20 or later`)
  process.exit(2)
}

const { register } = await import('tsx/esm/api')
register()
await import('../server/main.node.ts')
