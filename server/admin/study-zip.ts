import { makeZip } from 'client-zip'
import type { Database } from '../../db/database.ts'
import { instancesOf } from '../../db/instances.ts'
import { readMoving } from '../store/read-moving.ts'
import type { Store } from '../store/store.ts'

/**
 * The PS3.10 files of a study as one ZIP, not compressed: `0001/00000001.dcm`, series and instances numbered in the
 * order of their keys, so that no name tells of a patient. A file is read as the client takes it.
 */
export async function* studyZip(
  studyInstanceUID: string,
  { db, store }: { db: Database; store: Store },
): AsyncGenerator<Uint8Array, void, void> {
  const reader = makeZip(entriesOf(studyInstanceUID, { db, store })).getReader()
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
  } finally {
    await reader.cancel().catch(() => {})
  }
}

async function* entriesOf(studyInstanceUID: string, { db, store }: { db: Database; store: Store }) {
  let seriesKey: number | undefined
  let seriesNumber = 0
  let fileNumber = 0
  for await (const instance of instancesOf(db, { studyInstanceUID })) {
    if (instance.seriesKey !== seriesKey) {
      seriesKey = instance.seriesKey
      seriesNumber++
      fileNumber = 0
    }
    fileNumber++
    const { byteLength } = instance
    yield {
      name: `${String(seriesNumber).padStart(4, '0')}/${String(fileNumber).padStart(8, '0')}.dcm`,
      lastModified: instance.receivedAt,
      size: byteLength,
      input: readMoving(store, instance, 0, byteLength) as AsyncIterable<Uint8Array<ArrayBuffer>>,
    }
  }
}
