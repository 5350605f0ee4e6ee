import type { Instance } from '../../db/instances.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Store } from '../store/store.ts'

const explicitBigEndian = '1.2.840.10008.1.2.2'
const deflated = '1.2.840.10008.1.2.1.99'

/**
 * The value field that a BulkDataURI of ours names: a range of the instance's file.
 *
 * The URI is opaque to clients (WA-R4) and never goes stale, since a stored file never changes. Where
 * the file's bytes are not those of an Explicit VR Little Endian value (big endian, deflated), it is
 * answered 406: those are served once retrieval can transcode.
 *
 * @param range `{offset}-{length}`, bytes from the front of the file.
 * @throws {HttpProblem} 404 no such range; 406 as above
 */
export function readBulkData(
  instance: Instance,
  range: string,
  store: Store,
): { length: number; chunks: AsyncGenerator<Uint8Array, void, void> } {
  // First, for ranges of a deflated file count as if it were inflated, and may lie beyond its end.
  if ([explicitBigEndian, deflated].includes(instance.transferSyntaxUID)) {
    throw new HttpProblem(
      406,
      'Cannot retrieve this bulk data: its instance is stored big endian or deflated; retrieve the instance',
    )
  }
  const [, offsetText, lengthText] = /^(\d{1,15})-(\d{1,15})$/.exec(range) ?? []
  const offset = Number(offsetText)
  const length = Number(lengthText)
  if (!(offset + length <= instance.byteLength)) {
    throw new HttpProblem(404, 'Cannot retrieve this bulk data: its instance has none of this name')
  }
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    yield* store.read(instance.segmentID, instance.segmentOffset + offset, length)
  }
  return { length, chunks: chunks() }
}
