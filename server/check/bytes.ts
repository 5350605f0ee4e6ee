import { createHash } from 'node:crypto'
import { SegmentNotFoundError, SegmentTooShortError, type Store } from '../store/store.ts'
import type { Finding } from './finding.ts'
import type { InstanceRow } from './instance-rows.ts'

/** Metadata longer than this were never written: the reader's limit is half of it. */
const metadataBytes = 64 * 1024 * 1024

/** What is wrong with the bytes of one instance. */
export type Fault = Pick<Finding, 'problem' | 'detail'>

/**
 * Reads an instance's bytes and compares them with its row: the file's digest, and that its metadata,
 * which lie behind it, are its own. A mebibyte of the file is in memory at a time, and its metadata.
 *
 * @param isQuick Leaves the file out and reads the metadata only.
 * @returns undefined when all is as it should be.
 */
export async function readFault(
  row: InstanceRow,
  store: Store,
  isQuick: boolean,
): Promise<Fault | undefined> {
  const { segmentID, segmentOffset, byteLength, metadataLength } = row
  if (segmentID === null || row.studyInstanceUID === null) {
    const missing = segmentID === null ? 'segment' : 'series'
    return { problem: 'row-invalid', detail: `there is no row of its ${missing}` }
  }
  if (
    [segmentOffset, byteLength, metadataLength].some((one) => one < 0) ||
    metadataLength > metadataBytes
  ) {
    return { problem: 'row-invalid', detail: 'its offset or its lengths cannot be true' }
  }
  try {
    if (!isQuick) {
      const digest = createHash('sha256')
      for await (const chunk of store.read(segmentID, segmentOffset, byteLength)) {
        digest.update(chunk)
      }
      if (!digest.digest().equals(row.digest)) {
        const detail = 'the SHA-256 of its bytes is not the one they had when they were stored'
        return { problem: 'digest-differs', detail }
      }
    }
    const chunks: Uint8Array[] = []
    for await (const chunk of store.read(segmentID, segmentOffset + byteLength, metadataLength)) {
      chunks.push(chunk)
    }
    return metadataFault(Buffer.concat(chunks), row)
  } catch (error) {
    return readingFault(error, segmentOffset + byteLength + metadataLength)
  }
}

/** Says whether a segment is gone altogether. */
export function isSegmentMissing(fault: Fault | undefined): boolean {
  return fault?.problem === 'segment-missing'
}

function metadataFault(bytes: Uint8Array, row: InstanceRow): Fault | undefined {
  let model: Record<string, { Value?: unknown[] }>
  try {
    model = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return { problem: 'metadata-broken', detail: 'its metadata are not JSON' }
  }
  const expected: [tag: string, name: string, uid: string | null][] = [
    ['00080018', 'SOP Instance UID', row.sopInstanceUID],
    ['0020000D', 'Study Instance UID', row.studyInstanceUID],
    ['0020000E', 'Series Instance UID', row.seriesInstanceUID],
  ]
  const wrong = expected.find(([tag, , uid]) => model?.[tag]?.Value?.[0] !== uid)
  return (
    wrong && { problem: 'metadata-names-other', detail: `its metadata name another ${wrong[1]}` }
  )
}

function readingFault(error: unknown, end: number): Fault {
  if (error instanceof SegmentNotFoundError) {
    return { problem: 'segment-missing', detail: 'it is not in the store' }
  }
  if (error instanceof SegmentTooShortError) {
    const detail = `the segment ends before the instance does, at byte ${end}`
    return { problem: 'segment-too-short', detail }
  }
  const { code, cause } = error as { code?: string; cause?: { code?: string } }
  const reason = code ?? cause?.code ?? (error instanceof Error ? error.name : 'unknown error')
  return { problem: 'bytes-unreadable', detail: `its bytes cannot be read: ${reason}` }
}
