import { randomBytes, randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { fileStore } from '../../server/store/file-store.ts'

// Run by file-store.test.ts under strace: writes one segment, and says when it is synced and sealed;
// then another in the same folder, which is known by then.
const store = fileStore(process.argv[2] as string)
const segmentID = randomUUID()
const writer = await store.create(segmentID)
writer.append(randomBytes(3 * 1024 * 1024))
await writer.drain()
writer.append(randomBytes(1000))
await writer.sync()
writeSync(1, 'SYNCED\n')
writer.append(randomBytes(1000))
await writer.seal()
writeSync(1, 'SEALED\n')
const other = await store.create(`${randomUUID().slice(0, -2)}${segmentID.slice(-2)}`)
other.append(randomBytes(1000))
await other.seal()
writeSync(1, 'SEALED AGAIN\n')
