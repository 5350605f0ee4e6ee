import { asBuffer } from './bytes.ts'
import { DataSetInflater } from './data-set-inflater.ts'
import { DataSetReader } from './data-set-reader.ts'
import { UnsupportedTransferSyntaxError } from './errors.ts'
import { FileMetaReader } from './file-meta-reader.ts'
import { checkedIdentity, knownIdentity, knownStudy, refuseDirectory } from './identity.ts'
import type { Attributes, Identity, Instance } from './instance.ts'
import { completeLimits, type InstanceLimits } from './limits.ts'
import { transferSyntaxes } from './transfer-syntaxes.ts'

export type { AttributeKeyword, Attributes, Identity, Instance, Warning } from './instance.ts'
export type { InstanceLimits } from './limits.ts'

/**
 * Reads one PS3.10 file in one pass into what the database needs and the DICOM JSON model.
 *
 * Takes the file from its first byte to its last in any chunking, and does not keep the chunks. Memory is bounded by
 * {@link InstanceLimits}: it grows with the number of elements, not with the bytes of their values, since large
 * values become a BulkDataURI of the form `bulkdata/<tag path>/<offset>-<length>`. Offset and length are bytes of the file;
 * in a deflated one, of the file as if its data set were inflated in place. Encapsulated pixel data
 * counts from its first item up to the Sequence Delimitation Item.
 *
 * A structural error is thrown at once; what is wrong with the identity only by {@link end}, so that as much of it as
 * can be read is there for the report. After a throw, `push` and `end` throw the same again; after an `end`, that
 * there is nothing more to read.
 *
 * @throws {NotDicomError} {@link FileMetaError} {@link TruncatedError} {@link LengthError} {@link StructureError}
 *   {@link UnknownVRError} {@link RepeatedElementError} {@link DeflateError} → refusal 0xC000
 * @throws {UnsupportedTransferSyntaxError} → refusal 0xC122
 * @throws {UnsupportedSOPClassError} for a DICOMDIR → refusal 0x0122
 * @throws {DicomLimitError} One of its subclasses for each limit → refusal 0xA700
 * @throws what {@link checkedIdentity} says
 * @see PS3.10 7.1, PS3.5 7, PS3.18 Annex F; DV-01 to DV-24, JS-01 to JS-27
 */
export class InstanceReader {
  readonly #limits: InstanceLimits
  readonly #meta: FileMetaReader
  #dataSet: DataSetReader | undefined
  #inflater: DataSetInflater | undefined
  #failure: unknown
  #hasEnded = false

  constructor(limits: Partial<InstanceLimits> = {}) {
    this.#limits = completeLimits(limits)
    this.#meta = new FileMetaReader(this.#limits)
  }

  /** What is known so far of the identity, also after a throw. */
  get identity(): Identity {
    return knownIdentity(this.#dataSet?.root, this.#meta)
  }

  /** Of {@link identity}, without making the rest: asked for with each chunk until it is there. */
  get studyInstanceUID(): string | undefined {
    return knownStudy(this.#dataSet?.root)
  }

  /** What is known so far of the data set; undefined before it begins. */
  get attributes(): Attributes | undefined {
    return this.#dataSet?.root.attributes
  }

  /** Takes the next bytes of the file. They are not kept and may be overwritten afterwards. */
  push(bytes: Uint8Array): void {
    this.#mustGoOn()
    try {
      this.#take(asBuffer(bytes))
    } catch (failure) {
      this.#failure = failure
      throw failure
    }
  }

  /** Says that the file has ended. */
  end(): Instance {
    this.#mustGoOn()
    try {
      const instance = this.#facts()
      this.#hasEnded = true
      return instance
    } catch (failure) {
      this.#failure = failure
      throw failure
    }
  }

  #mustGoOn(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#hasEnded) throw new TypeError('Cannot read instance: the reader has ended')
  }

  #facts(): Instance {
    if (this.#dataSet === undefined) throw this.#meta.ended()
    this.#inflater?.end()
    const metadata = this.#dataSet.end()
    const { root } = this.#dataSet
    const { sopClassUID, sopInstanceUID, studyInstanceUID, seriesInstanceUID } = checkedIdentity(
      root,
      this.#meta,
    )
    return {
      transferSyntaxUID: this.#meta.transferSyntaxUID,
      sopClassUID,
      sopInstanceUID,
      studyInstanceUID,
      seriesInstanceUID,
      attributes: root.attributes,
      metadata,
      warnings: root.warnings,
    }
  }

  #take(bytes: Uint8Array): void {
    if (this.#inflater !== undefined) this.#inflater.push(bytes)
    else if (this.#dataSet !== undefined) this.#dataSet.push(bytes)
    else if (this.#meta.push(bytes)) this.#openDataSet(bytes)
  }

  #openDataSet(bytes: Uint8Array): void {
    const meta = this.#meta
    refuseDirectory(meta.mediaStorageSOPClassUID)
    const syntax = transferSyntaxes.get(meta.transferSyntaxUID)
    if (syntax === undefined) {
      throw new UnsupportedTransferSyntaxError('the transfer syntax (0002,0010) is not supported')
    }
    const dataSet = new DataSetReader(syntax, meta.dataSetOffset, this.#limits)
    this.#dataSet = dataSet
    if (syntax.deflated) {
      this.#inflater = new DataSetInflater(dataSet, this.#limits)
      this.#inflater.push(meta.rest)
      this.#inflater.push(bytes.subarray(meta.taken))
    } else {
      dataSet.push(meta.rest)
      dataSet.push(bytes, meta.taken)
    }
  }
}
