// The entry of a codec worker. Bun and Deno run TypeScript as it is; a worker of Node gets its own tsx,
// since what its parent registered holds for the parent alone. (Decision 4)
import { fileURLToPath } from 'node:url'

if (!('Bun' in globalThis) && !('Deno' in globalThis)) {
  const { register } = await import('tsx/esm/api')
  register({ tsconfig: fileURLToPath(new URL('../../tsconfig.json', import.meta.url)) })
}
await import('./worker.ts')
