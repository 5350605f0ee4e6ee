/**
 * Failure Reason (0008,1197) codes.
 *
 * PS3.18 Tables I.2-1 and I.2-2, PS3.7 Annex C, PS3.4 B.2.3.
 */
export const failureReasons = {
  invalidAttributeValue: 0x0106,
  processingFailure: 0x0110,
  duplicateSOPInstance: 0x0111,
  invalidSOPInstanceUID: 0x0117,
  classInstanceConflict: 0x0119,
  missingAttribute: 0x0120,
  missingAttributeValue: 0x0121,
  sopClassNotSupported: 0x0122,
  notAuthorized: 0x0124,
  resourceLimitation: 0x0213,
  outOfResources: 0xa700,
  dataSetDoesNotMatchSOPClass: 0xa900,
  cannotUnderstand: 0xc000,
  transferSyntaxNotSupported: 0xc122,
} as const

/**
 * An instance cannot be accepted. Each way to fail is a subclass.
 *
 * The message names what is wrong, the tag and the offset in the file, never an attribute's value,
 * so that it may be logged and answered as it is.
 */
export abstract class DicomError extends Error {
  /** What Failed SOP Sequence says, as in {@link failureReasons}. */
  abstract readonly failureReason: number

  constructor(reason: string) {
    super(`Cannot read instance: ${reason}`)
    this.name = new.target.name
  }
}

/** No PS3.10 file: no "DICM" at offset 128 (DV-01, DV-02). */
export class NotDicomError extends DicomError {
  readonly failureReason = failureReasons.cannotUnderstand
}

/** The File Meta Information is broken or does not name a transfer syntax (DV-03). */
export class FileMetaError extends DicomError {
  readonly failureReason = failureReasons.cannotUnderstand
}

/** The transfer syntax is private, unknown or cannot be kept in a file (DV-05). */
export class UnsupportedTransferSyntaxError extends DicomError {
  readonly failureReason = failureReasons.transferSyntaxNotSupported
}

/** A SOP class that is never stored: the DICOMDIR (DV-23). */
export class UnsupportedSOPClassError extends DicomError {
  readonly failureReason = failureReasons.sopClassNotSupported
}

/** The file ends inside an element, an item or a sequence (DV-04). */
export class TruncatedError extends DicomError {
  readonly failureReason = failureReasons.cannotUnderstand
}

/** A length contradicts the length around it, or is undefined where it must not be (DV-04). */
export class LengthError extends DicomError {
  readonly failureReason = failureReasons.cannotUnderstand
}

/** Something stands where it cannot: a stray delimiter, an element between items, bytes after the data set. */
export class StructureError extends DicomError {
  readonly failureReason = failureReasons.cannotUnderstand
}

/** An explicit VR that is none of the 34: its length field cannot be known (JS-27). */
export class UnknownVRError extends DicomError {
  readonly failureReason = failureReasons.cannotUnderstand
}

/** A tag occurs twice in one data set (JS-26). */
export class RepeatedElementError extends DicomError {
  readonly failureReason = failureReasons.cannotUnderstand
}

/** A deflated data set does not inflate. */
export class DeflateError extends DicomError {
  readonly failureReason = failureReasons.cannotUnderstand
}

/** Metadata that no data set can be made of: an unknown VR, a value where none can be (JS-03, JS-10, JS-11, JS-27). */
export class MetadataError extends DicomError {
  readonly failureReason = failureReasons.cannotUnderstand
}

/** A value of metadata that its VR cannot hold: 70000 as US, a backslash in a LO (JS-13, JS-19). */
export class InvalidValueError extends DicomError {
  readonly failureReason = failureReasons.invalidAttributeValue
}

/** Bulk data that are not there, are there twice, or are not what their attribute can hold (MB-4 to MB-8). */
export class BulkDataError extends DicomError {
  readonly failureReason = failureReasons.cannotUnderstand
}

/** The File Meta Information names another instance or class than the data set (DV-08). */
export class FileMetaMismatchError extends DicomError {
  readonly failureReason = failureReasons.dataSetDoesNotMatchSOPClass
}

/** An identifying UID is missing (DV-09). */
export class MissingAttributeError extends DicomError {
  readonly failureReason = failureReasons.missingAttribute
}

/** An identifying UID is empty (DV-10). */
export class MissingAttributeValueError extends DicomError {
  readonly failureReason = failureReasons.missingAttributeValue
}

/** An identifying UID breaks the rules of PS3.5 9.1 (DV-11, DV-12). */
export class InvalidUIDError extends DicomError {
  readonly failureReason: number

  constructor(keyword: string, reason: string) {
    super(reason)
    this.failureReason =
      keyword === 'SOPInstanceUID'
        ? failureReasons.invalidSOPInstanceUID
        : failureReasons.invalidAttributeValue
  }
}

/** An identifying UID has several values (DV-13). */
export class SeveralUIDsError extends DicomError {
  readonly failureReason = failureReasons.dataSetDoesNotMatchSOPClass
}

/** One of the {@link InstanceLimits} was passed (DV-24). */
export abstract class DicomLimitError extends DicomError {
  readonly failureReason = failureReasons.outOfResources
  readonly limit: number

  constructor(reason: string, limit: number) {
    super(reason)
    this.limit = limit
  }
}

/** Sequences are nested deeper than `sequenceDepth`. */
export class NestingTooDeepError extends DicomLimitError {}

/** There are more elements and items than `elementCount`. */
export class TooManyElementsError extends DicomLimitError {}

/** A value that cannot become bulk data is longer than `valueBytes`. */
export class ValueTooLongError extends DicomLimitError {}

/** The metadata is longer than `metadataBytes`. */
export class MetadataTooLargeError extends DicomLimitError {}

/** The File Meta Information is longer than `fileMetaBytes`. */
export class FileMetaTooLargeError extends DicomLimitError {}

/** Bulk data are longer than a value field of 32 bits can say. */
export class BulkDataTooLongError extends DicomLimitError {}

/** A deflated data set inflates to more than `inflatedBytes`, or more than `inflateRatio` times its size. */
export class InflatedTooLargeError extends DicomLimitError {}
