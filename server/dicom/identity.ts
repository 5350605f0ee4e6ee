import {
  FileMetaMismatchError,
  InvalidUIDError,
  MissingAttributeError,
  MissingAttributeValueError,
  SeveralUIDsError,
  UnsupportedSOPClassError,
} from './errors.ts'
import type { FileMetaReader } from './file-meta-reader.ts'
import type { Identity } from './instance.ts'
import type { IdentityKeyword, RootAttributes } from './root-attributes.ts'
import { isUID } from './uid.ts'

/** Media Storage Directory Storage: the DICOMDIR, which is no instance (PS3.4 B.5; DV-23). */
export const DICOMDIR = '1.2.840.10008.1.3.10'

const required: [keyword: IdentityKeyword, tag: string, name: keyof Identity][] = [
  ['SOPClassUID', '(0008,0016)', 'sopClassUID'],
  ['SOPInstanceUID', '(0008,0018)', 'sopInstanceUID'],
  ['StudyInstanceUID', '(0020,000D)', 'studyInstanceUID'],
  ['SeriesInstanceUID', '(0020,000E)', 'seriesInstanceUID'],
]

/**
 * Holds the identity of an instance that was read to its end against DV-08 to DV-13.
 *
 * @throws {MissingAttributeError}      → 0x0120
 * @throws {MissingAttributeValueError} → 0x0121
 * @throws {SeveralUIDsError}           → 0xA900
 * @throws {InvalidUIDError}            → 0x0117 for the SOP Instance UID, else 0x0106
 * @throws {FileMetaMismatchError}      The File Meta Information names another class or instance. → 0xA900
 */
export function checkedIdentity(root: RootAttributes, meta: FileMetaReader): Required<Identity> {
  const identity = {
    sopClassUID: '',
    sopInstanceUID: '',
    studyInstanceUID: '',
    seriesInstanceUID: '',
  }
  for (const [keyword, tag, name] of required) {
    const text = root.uids[keyword]
    if (text === undefined) throw new MissingAttributeError(`no ${keyword} ${tag}`)
    if (text === '') throw new MissingAttributeValueError(`${keyword} ${tag} is empty`)
    if (text.includes('\\')) throw new SeveralUIDsError(`${keyword} ${tag} has several values`)
    if (!isUID(text)) throw new InvalidUIDError(keyword, `${keyword} ${tag} is not a UID`)
    identity[name] = text
  }
  refuseDirectory(identity.sopClassUID)
  const { mediaStorageSOPClassUID, mediaStorageSOPInstanceUID } = meta
  refuseOther(
    mediaStorageSOPClassUID,
    '(0002,0002)',
    identity.sopClassUID,
    'SOPClassUID (0008,0016)',
  )
  refuseOther(
    mediaStorageSOPInstanceUID,
    '(0002,0003)',
    identity.sopInstanceUID,
    'SOPInstanceUID (0008,0018)',
  )
  return identity
}

/** @throws {UnsupportedSOPClassError} for a DICOMDIR. → 0x0122 */
export function refuseDirectory(sopClassUID: string): void {
  if (sopClassUID === DICOMDIR) throw new UnsupportedSOPClassError('a DICOMDIR is not an instance')
}

/**
 * What can be said of the identity in a report of failure: the data set's UIDs, else those of the File Meta Information.
 *
 * Only what looks like a UID, so that no other text of a broken file gets into an answer.
 */
export function knownIdentity(root: RootAttributes | undefined, meta: FileMetaReader): Identity {
  const identity: Identity = {}
  for (const [keyword, , name] of required) {
    const text = root?.uids[keyword]
    if (text !== undefined && presentable.test(text)) identity[name] = text
  }
  const { mediaStorageSOPClassUID, mediaStorageSOPInstanceUID } = meta
  if (identity.sopClassUID === undefined && presentable.test(mediaStorageSOPClassUID)) {
    identity.sopClassUID = mediaStorageSOPClassUID
  }
  if (identity.sopInstanceUID === undefined && presentable.test(mediaStorageSOPInstanceUID)) {
    identity.sopInstanceUID = mediaStorageSOPInstanceUID
  }
  return identity
}

/** The study alone, as `knownIdentity` has it. */
export function knownStudy(root: RootAttributes | undefined): string | undefined {
  const text = root?.uids.StudyInstanceUID
  return text !== undefined && presentable.test(text) ? text : undefined
}

const presentable = /^[0-9.]{1,64}$/

/** An empty or missing UID in the File Meta Information contradicts nothing. */
function refuseOther(inMeta: string, tag: string, inDataSet: string, name: string): void {
  if (inMeta !== '' && inMeta !== inDataSet) {
    throw new FileMetaMismatchError(`File Meta Information ${tag} differs from ${name}`)
  }
}
