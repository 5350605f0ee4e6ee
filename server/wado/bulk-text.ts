import { Buffer } from 'node:buffer'
import type { Instance } from '../../db/instances.ts'
import type { CharacterSet } from '../dicom/character-sets.ts'
import { characterSetsAt } from '../dicom/character-sets-at.ts'
import { inflate } from '../dicom/re-encode.ts'
import { kinds, vrCode, vrKinds } from '../dicom/vr.ts'
import type { Store } from '../store/store.ts'
import type { BulkData } from './bulk-data.ts'
import { deflated, readFile, readValue } from './stored-file.ts'

/** Reads a text as UTF-8; how long that is shows at its end. */
export type ReadText = () => AsyncGenerator<Uint8Array, void, void>

/**
 * Those of the values of an instance that are text in another character set than UTF-8, which is what metadata say of
 * them (JS-18): how to read each as that.
 *
 * The file is read up to the last text among them, once, to find what set is in force where. Of a text a piece at a time is held.
 */
export async function foreignTexts(
  instance: Instance,
  store: Store,
  values: readonly BulkData[],
): Promise<Map<BulkData, ReadText>> {
  const found = new Map<BulkData, ReadText>()
  const texts = values.filter(isText).sort((a, b) => a.offset - b.offset)
  if (texts.length === 0) return found
  const file = readFile(instance, store)
  const sets = await characterSetsAt(
    instance.transferSyntaxUID === deflated ? inflate(file) : file,
    texts.map(({ offset }) => offset),
  )
  for (const [index, text] of texts.entries()) {
    const set = sets[index] as CharacterSet
    if (!set.isUTF8) found.set(text, () => inUTF8(readValue(instance, store, text), text, set))
  }
  return found
}

async function* inUTF8(
  chunks: AsyncIterable<Uint8Array>,
  text: BulkData,
  set: CharacterSet,
): AsyncGenerator<Uint8Array, void, void> {
  const decode = set.pieces(kindOf(text) === kinds.text)
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += pieceBytes) {
      const decoded = decode(chunk.subarray(at, at + pieceBytes), false)
      if (decoded !== '') yield Buffer.from(decoded)
    }
  }
  const rest = decode(new Uint8Array(), true)
  if (rest !== '') yield Buffer.from(rest)
}

/** Bytes that are decoded at once, while nothing else runs. */
const pieceBytes = 64 * 1024

function isText(value: BulkData): boolean {
  const kind = kindOf(value)
  return kind === kinds.text || kind === kinds.longText
}

function kindOf({ vr }: BulkData): number {
  return vrKinds[vrCode(vr)] as number
}
