import { type FileHandle, open } from 'node:fs/promises'
import { closing, partHeader } from '../multipart/multipart-writer.ts'
import type { StudyFile } from './find-studies.ts'
import { codeOf } from './walk.ts'

/** A file is not what it was when it was found, so the request that was begun cannot be ended. */
export class FileChangedError extends Error {
  override name = 'FileChangedError'

  constructor(path: string, expectedBytes: number) {
    super(`${path} changed while it was sent: it had ${expectedBytes} bytes; send it again`)
  }
}

/** A file could be read when it was found, and cannot be read now. */
export class FileUnreadableError extends Error {
  override name = 'FileUnreadableError'

  constructor(path: string, cause: unknown) {
    super(`${path} cannot be read: ${codeOf(cause)}`, { cause })
  }
}

const chunkBytes = 256 * 1024
const partHeaders = [['Content-Type', 'application/dicom']] as const

/** The exact length of the body that {@link readBody} gives. */
export function bodyLength(files: StudyFile[], boundary: string): number {
  const first = partHeader(boundary, partHeaders, true).length
  const other = partHeader(boundary, partHeaders).length
  const content = files.reduce((sum, file) => sum + file.byteLength, 0)
  return content + first + other * (files.length - 1) + closing(boundary).length
}

/**
 * The body of one STOW-RS request: a part for each file. (PS3.18 10.5.1)
 *
 * One file is open at a time, and one chunk of 256 KiB in memory.
 *
 * @param onFile Told when all of a file was handed over.
 * @throws {FileChangedError} A file has become longer or shorter.
 * @throws {FileUnreadableError} A file went away.
 */
export async function* readBody(
  files: StudyFile[],
  boundary: string,
  onFile: () => void = () => {},
): AsyncGenerator<Uint8Array, void, void> {
  for (const [index, file] of files.entries()) {
    yield* readPart(file, partHeader(boundary, partHeaders, index === 0))
    onFile()
  }
  yield closing(boundary)
}

/** The header travels with the first bytes of its file: a study of small files costs one write each. */
async function* readPart(file: StudyFile, header: Uint8Array): AsyncGenerator<Uint8Array> {
  const handle = await reading(file, () => open(file.path, 'r'))
  try {
    const { size } = await reading(file, () => handle.stat())
    if (size !== file.byteLength) throw new FileChangedError(file.path, file.byteLength)
    for (let at = 0, lead: Uint8Array | undefined = header; at < size || lead; lead = undefined) {
      const leadBytes = lead?.length ?? 0
      const chunk = Buffer.allocUnsafe(leadBytes + Math.min(chunkBytes, size - at))
      if (lead) chunk.set(lead)
      await fill(file, handle, chunk.subarray(leadBytes), at)
      at += chunk.length - leadBytes
      yield chunk
    }
    // What was appended meanwhile would be missing without anybody noticing.
    const after = await reading(file, () => handle.stat())
    if (after.size !== size) throw new FileChangedError(file.path, file.byteLength)
  } finally {
    await handle.close()
  }
}

async function fill(
  file: StudyFile,
  handle: FileHandle,
  into: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await reading(file, () =>
      handle.read(into, done, into.length - done, position + done),
    )
    if (bytesRead === 0) throw new FileChangedError(file.path, file.byteLength)
    done += bytesRead
  }
}

async function reading<T>(file: StudyFile, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    throw new FileUnreadableError(file.path, error)
  }
}
