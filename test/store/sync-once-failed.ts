import { randomBytes, randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { fileStore } from '../../server/store/file-store.ts'

// Run by file-store.test.ts under strace, which lets the first fdatasync fail, and no other: says what the
// writer answers then. FOLDER, then `ahead`: the sync that fails is one that nobody asked for; or `asked`.
const [folder, which] = process.argv.slice(2)
const writer = await fileStore(folder as string).create(randomUUID())
writer.append(randomBytes(which === 'ahead' ? 64 * 1024 * 1024 : 1000))
if (which === 'asked') await say('sync', writer.sync())
await say('seal', writer.seal())
await say('sync again', writer.sync())
await writer.abandon()

async function say(what: string, done: Promise<void>): Promise<void> {
  const outcome = await done.then(
    () => 'done',
    (error) => error.message,
  )
  writeSync(1, `${what}: ${outcome}\n`)
}
