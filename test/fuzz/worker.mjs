// The entry of the fuzzing thread. A thread of Node gets its own tsx (Decision 4).
import { fileURLToPath } from 'node:url'
import { register } from 'tsx/esm/api'

register({ tsconfig: fileURLToPath(new URL('../../tsconfig.json', import.meta.url)) })
await import('./worker.ts')
