import { randomBytes, randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { fileStore } from '../../server/store/file-store.ts'

// Run by file-store.test.ts under strace: writes one segment, and says when it is sealed.
const writer = await fileStore(process.argv[2] as string).create(randomUUID())
writer.append(randomBytes(3 * 1024 * 1024))
await writer.drain()
writer.append(randomBytes(1000))
await writer.seal()
writeSync(1, 'SEALED\n')
