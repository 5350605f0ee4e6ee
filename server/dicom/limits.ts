/** What one instance may ask of us. Every limit has its own error in `errors.ts`. */
export interface InstanceLimits {
  /** Bytes of File Meta Information. Default 1 MiB. */
  fileMetaBytes: number
  /** Sequences inside sequences. Default 64. */
  sequenceDepth: number
  /** Elements and items together, at all depths. Default 500,000. */
  elementCount: number
  /** Bytes of the DICOM JSON model. Default 32 MiB. */
  metadataBytes: number
  /** Bytes of one value whose VR may not become bulk data (PN, LO, UI ...). Default 64 KiB. */
  valueBytes: number
  /** Bytes up to which OB OD OF OL OV OW UN stay inline; above they become a BulkDataURI. Default 1 KiB. */
  inlineBinaryBytes: number
  /** Bytes up to which the text and numbers that JS-10 lists stay inline. Default 64 KiB. */
  inlineTextBytes: number
  /** Bytes of inline values of one instance, after which only values up to 256 bytes stay inline. Default 4 MiB. */
  inlineBudgetBytes: number
  /** Bytes that a deflated data set may inflate to. Default 4 GiB. */
  inflatedBytes: number
  /** How many times larger than its deflated bytes a data set may be, looked at above 16 MiB. Default 250. */
  inflateRatio: number
}

export const defaultLimits: InstanceLimits = {
  fileMetaBytes: 2 ** 20,
  sequenceDepth: 64,
  elementCount: 500_000,
  metadataBytes: 32 * 2 ** 20,
  valueBytes: 64 * 1024,
  inlineBinaryBytes: 1024,
  inlineTextBytes: 64 * 1024,
  inlineBudgetBytes: 4 * 2 ** 20,
  inflatedBytes: 4 * 2 ** 30,
  inflateRatio: 250,
}

/** Those that are not given are the defaults. */
export function completeLimits(limits: Partial<InstanceLimits>): InstanceLimits {
  let complete = completed.get(limits)
  if (complete === undefined) {
    complete = { ...defaultLimits, ...limits }
    completed.set(limits, complete)
  }
  return complete
}

/** A server reads all of its instances with the same object. */
const completed = new WeakMap<Partial<InstanceLimits>, InstanceLimits>()
