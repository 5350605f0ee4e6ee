// What the multipart reader costs over the one search that it cannot do without.
// Run: node --import tsx test/bench/multipart.ts
import { Buffer } from 'node:buffer'
import { MultipartReader } from '../../server/multipart/multipart-reader.ts'
import { closing, partHeader } from '../../server/multipart/multipart-writer.ts'

const chunkBytes = 64 * 1024
const totalBytes = 200 * 1000 * 1000
const rounds = 7
const boundary = 'stowage-0f8fad5b-d9cb-469f-a165-70867728950e'
const needle = Buffer.from(`\r\n--${boundary}`)

/** Different chunks, 8 MB of them in turns, so that not all of it stays in the processor's cache. */
function makeChunks(fill: (chunk: Buffer<ArrayBuffer>) => void): Buffer[] {
  return Array.from({ length: 128 }, () => {
    const chunk = Buffer.alloc(chunkBytes)
    fill(chunk)
    return chunk
  })
}

function noise(chunk: Buffer<ArrayBuffer>): void {
  crypto.getRandomValues(chunk)
}

/** 12-bit pixels in 16-bit words: every other byte is small, so CR and LF are frequent. */
function pixels(chunk: Buffer<ArrayBuffer>): void {
  noise(chunk)
  for (let at = 1; at < chunk.length; at += 2) chunk[at] = (chunk[at] ?? 0) & 0x0f
}

function zeros(): void {}

function lines(chunk: Buffer<ArrayBuffer>): void {
  chunk.fill('\r\n--stowage-0f8fad5b-d9cb-469f-a165-70867728950X')
}

function search(chunks: readonly Buffer[], count: number): void {
  for (let index = 0; index < count; index++) {
    if (chunks[index % chunks.length]?.indexOf(needle) !== -1) throw new Error('Found a delimiter')
  }
}

function readOnePart(chunks: readonly Buffer[], count: number): void {
  let bytes = 0
  const reader = new MultipartReader(boundary, {
    partBegin() {},
    partData(data) {
      bytes += data.length
    },
    partEnd() {},
  })
  reader.push(partHeader(boundary, [['Content-Type', 'application/dicom']], true))
  for (let index = 0; index < count; index++) reader.push(chunks[index % chunks.length] ?? needle)
  reader.push(closing(boundary))
  reader.end()
  if (bytes !== count * chunkBytes) throw new Error(`Read ${bytes} bytes`)
}

/** The best of some rounds, the two taken in turns: this machine has other work to do. */
function compare(chunks: readonly Buffer[]): { searchMs: number; readMs: number } {
  const count = Math.floor(totalBytes / chunkBytes)
  let searchMs = Number.POSITIVE_INFINITY
  let readMs = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    searchMs = Math.min(
      searchMs,
      timed(() => search(chunks, count)),
    )
    readMs = Math.min(
      readMs,
      timed(() => readOnePart(chunks, count)),
    )
  }
  return { searchMs, readMs }
}

function timed(work: () => void): number {
  const startedAt = performance.now()
  work()
  return performance.now() - startedAt
}

function megabytesPerSecond(bytes: number, ms: number): string {
  return `${Math.round(bytes / 1000 / ms)} MB/s`.padStart(12)
}

console.log(
  'one part of 200 MB in chunks of 64 KiB'.padEnd(44),
  'indexOf'.padStart(12),
  'reader'.padStart(12),
  'ratio',
)
for (const [name, fill] of Object.entries({ noise, pixels, zeros, lines })) {
  const { searchMs, readMs } = compare(makeChunks(fill))
  const speeds = [searchMs, readMs].map((ms) => megabytesPerSecond(totalBytes, ms))
  console.log(name.padEnd(44), ...speeds, (searchMs / readMs).toFixed(2))
}

/** Many small parts: what one part costs. */
const partCount = 100_000
const part = Buffer.concat([
  partHeader(boundary, [
    ['Content-Type', 'application/dicom; transfer-syntax=1.2.840.10008.1.2.1'],
  ]),
  Buffer.alloc(1000, 7),
])
const perChunk = Math.floor(chunkBytes / part.length)
const chunk = Buffer.concat(Array.from({ length: perChunk }, () => part))
const smallMs = timed(() => {
  const reader = new MultipartReader(boundary, { partBegin() {}, partData() {}, partEnd() {} })
  for (let index = 0; index < partCount / perChunk - 1; index++) reader.push(chunk)
  reader.push(closing(boundary))
  reader.end()
})
console.log(`parts of 1000 bytes: ${((smallMs * 1000) / partCount).toFixed(2)} µs each`)
