import { ByteReader } from './byte-reader.ts'
import type { CharacterSet } from './character-sets.ts'
import { DataSetReader } from './data-set-reader.ts'
import { TruncatedError } from './errors.ts'
import { defaultLimits } from './limits.ts'
import { readHead } from './re-encode.ts'

/**
 * Finds the character sets that are in force where values begin: that of their item, or of what is around it
 * (PS3.3 C.12.1.1.2). Metadata do not tell, for they are UTF-8 (JS-18).
 *
 * @param chunks  A PS3.10 file that was read before without an error; a deflated one inflated. Read to the last value.
 * @param offsets Of values in the file, ascending.
 */
export async function characterSetsAt(
  chunks: AsyncIterable<Uint8Array>,
  offsets: readonly number[],
): Promise<CharacterSet[]> {
  const bytes = new ByteReader(chunks)
  try {
    const { head, syntax } = await readHead(bytes)
    const dataSet = new DataSetReader(syntax, head.length, defaultLimits)
    const found: CharacterSet[] = []
    for (const offset of offsets) {
      while (bytes.offset < offset) {
        if (!(await bytes.fill(1))) throw new TruncatedError('the file ends before its values')
        dataSet.push(bytes.take(offset - bytes.offset))
      }
      found.push(dataSet.characterSet)
    }
    return found
  } finally {
    await bytes.close()
  }
}
