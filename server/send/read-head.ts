import { open } from 'node:fs/promises'
import { DicomError, NotDicomError, UnsupportedSOPClassError } from '../dicom/errors.ts'
import { InstanceReader } from '../dicom/instance-reader.ts'
import { isUID } from '../dicom/uid.ts'
import { codeOf } from './walk.ts'

/** What the front of a file tells. */
export type Head =
  | { kind: 'instance'; studyInstanceUID: string; sopInstanceUID: string | undefined }
  /** No DICOM file, or a DICOMDIR: nothing that could be sent. */
  | { kind: 'other' }
  /** A DICOM file that belongs to no study, or one that cannot be read. */
  | { kind: 'broken'; reason: string }

/** Most files name their study within the first of these. */
const chunkBytes = 16 * 1024

/** Bytes after which the Study Instance UID (0020,000D) is not looked for any more. */
const headBytes = 64 * 1024 * 1024

/**
 * Reads a file up to its Study Instance UID, and no further.
 *
 * Whether the rest of it is sound is for the server to say. Memory is that of the `InstanceReader`,
 * whatever the size of the file.
 */
export async function readHead(path: string): Promise<Head> {
  try {
    const file = await open(path, 'r')
    try {
      const reader = new InstanceReader()
      const buffer = Buffer.allocUnsafe(chunkBytes)
      for (let at = 0; at < headBytes; ) {
        const { bytesRead } = await file.read(buffer, 0, chunkBytes, at)
        if (bytesRead === 0) return ended(reader)
        reader.push(buffer.subarray(0, bytesRead))
        const { studyInstanceUID, sopInstanceUID } = reader.identity
        if (studyInstanceUID !== undefined) return instance(studyInstanceUID, sopInstanceUID)
        at += bytesRead
      }
      return broken(`no Study Instance UID (0020,000D) in its first ${headBytes} bytes`)
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof NotDicomError || error instanceof UnsupportedSOPClassError) {
      return { kind: 'other' }
    }
    // The messages of these name tags and offsets, never values.
    return broken(error instanceof DicomError ? error.message : `Cannot read it: ${codeOf(error)}`)
  }
}

/** The file ended and named no study: the reader says why, or that is all that is wrong. */
function ended(reader: InstanceReader): Head {
  reader.end()
  return broken('no Study Instance UID (0020,000D)')
}

function instance(studyInstanceUID: string, sopInstanceUID: string | undefined): Head {
  // It goes into the path of the request.
  if (!isUID(studyInstanceUID)) return broken('Study Instance UID (0020,000D) is not a UID')
  return { kind: 'instance', studyInstanceUID, sopInstanceUID }
}

function broken(reason: string): Head {
  return { kind: 'broken', reason }
}
