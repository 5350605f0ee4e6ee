// How fast storage commitment reads bytes again, beside a bare read and hash of the same bytes in the same run; and what
// the database takes for it.
// Run: node --import tsx test/bench/commitment.ts [instances] [bytes of each]
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'

const [instances = 2000, instanceBytes = 524_288] = process.argv.slice(2).map(Number)
const rounds = 5
const ctImage = '1.2.840.10008.5.1.4.1.1.2'

await using server = await startServer({
  env: { STOWAGE_COMMITMENT_WAIT_BYTES: '1TiB', STOWAGE_VERIFY_BYTES_PER_SECOND: '0' },
})
const uids: string[] = []
const [studyInstanceUID, seriesInstanceUID] = [uniqueUID(), uniqueUID()]
const pixels = randomBytes(instanceBytes)
while (uids.length < instances) {
  const files = Array.from({ length: Math.min(200, instances - uids.length) }, () => {
    const sopInstanceUID = uniqueUID()
    uids.push(sopInstanceUID)
    return dicomFile({ studyInstanceUID, seriesInstanceUID, sopInstanceUID, pixelBytes: pixels })
  })
  const { status } = await stow(`${server.dicomWeb}/studies`, files)
  if (status !== 200) throw new Error(`Stored with ${status}`)
}

const commitments: number[] = []
const bares: number[] = []
for (let round = 0; round < rounds; round++) {
  const bytes = await bareBytes()
  const megabytes = bytes / 1e6
  commitments.push(megabytes / (await secondsOf(commit)))
  bares.push(megabytes / (await secondsOf(bareBytes)))
  console.log(
    `round ${round + 1}: commitment ${commitments.at(-1)?.toFixed(0)} MB/s, bare ${bares.at(-1)?.toFixed(0)} MB/s`,
  )
}
const ratio = Math.max(...commitments) / Math.max(...bares)
console.log(
  `${instances} instances of ${instanceBytes} bytes; best of ${rounds}: commitment is ${ratio.toFixed(2)} of a bare read and hash`,
)

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}

/** One request for all instances, until its result is there. */
async function commit(): Promise<void> {
  const url = `${server.dicomWeb}/commitment-requests/${uniqueUID()}`
  const references = uids.map((uid) => ({
    '00081150': { vr: 'UI', Value: [ctImage] },
    '00081155': { vr: 'UI', Value: [uid] },
  }))
  let answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/dicom+json' },
    body: JSON.stringify({ '00081199': { vr: 'SQ', Value: references } }),
  })
  while (answer.status === 202) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    answer = await fetch(url)
  }
  const result = (await answer.json()) as Record<string, { Value: unknown[] }>
  if (result['00081199']?.Value.length !== instances) throw new Error('Not all are committed')
}

/** What nobody can beat by much: each segment from front to back in reads of 1 MiB, and the SHA-256 of each instance. */
async function bareBytes(): Promise<number> {
  let total = 0
  const buffer = Buffer.alloc(1024 * 1024)
  for (const folder of await readdir(server.storeDir)) {
    for (const name of await readdir(join(server.storeDir, folder)).catch(() => [])) {
      const fd = openSync(join(server.storeDir, folder, name), 'r')
      let hash = createHash('sha256')
      let hashed = 0
      for (;;) {
        const count = readSync(fd, buffer)
        if (count === 0) break
        total += count
        hash.update(buffer.subarray(0, count))
        hashed += count
        if (hashed >= instanceBytes) {
          hash.digest()
          hash = createHash('sha256')
          hashed = 0
        }
      }
      closeSync(fd)
    }
  }
  return total
}
