import { Inflate } from 'pako'
import { asBuffer, u32 } from './bytes.ts'
import type { DataSetReader } from './data-set-reader.ts'
import { DeflateError, InflatedTooLargeError, StructureError, TruncatedError } from './errors.ts'
import type { InstanceLimits } from './limits.ts'

/** Bytes that are inflated at a time. */
const WINDOW_BYTES = 65_536
/** Bytes below which the ratio is not looked at: an empty mask deflates to a thousandth of its size, honestly. */
const SMALL_BYTES = 16 * 2 ** 20

/**
 * Inflates a deflated data set (PS3.5 A.5) as it arrives and passes it on in windows of 64 KiB.
 *
 * pako, and not node:zlib, since that inflates in steps only asynchronously. Zeros may follow the deflated bytes, and before them the
 * trailer of gzip (RFC 1952 2.3.1: checksum and size), which some writers leave in; its size must be right.
 *
 * @throws {DeflateError} → refusal 0xC000
 * @throws {InflatedTooLargeError} → refusal 0xA700
 */
export class DataSetInflater {
  readonly #inflate = new Inflate({ raw: true, chunkSize: WINDOW_BYTES })
  readonly #limits: InstanceLimits
  #deflatedBytes = 0
  #inflatedBytes = 0
  /** What follows the deflated bytes, up to 8. */
  readonly #trailer: number[] = []

  constructor(dataSet: DataSetReader, limits: InstanceLimits) {
    this.#limits = limits
    this.#inflate.onData = (window) => {
      this.#inflatedBytes += window.length
      this.#checkSize()
      dataSet.push(asBuffer(window))
    }
  }

  push(bytes: Uint8Array): void {
    const inflate = this.#inflate
    let rest = bytes
    if (!inflate.ended) {
      this.#deflatedBytes += bytes.length
      inflate.push(bytes, false)
      if (inflate.err !== 0) throw new DeflateError('the deflated data set does not inflate')
      if (!inflate.ended) return
      rest = bytes.subarray(bytes.length - inflate.strm.avail_in)
    }
    for (const byte of rest) this.#takeTrailing(byte)
  }

  end(): void {
    if (!this.#inflate.ended) throw new TruncatedError('the file ends inside its deflated data set')
    const { length } = this.#trailer
    const isZero = this.#trailer.every((byte) => byte === 0)
    if (
      isZero ||
      (length === 8 &&
        u32(Uint8Array.from(this.#trailer), 4, false) === this.#inflatedBytes % 2 ** 32)
    ) {
      return
    }
    throw new StructureError('unknown bytes after the deflated data set')
  }

  #takeTrailing(byte: number): void {
    if (this.#trailer.length < 8) this.#trailer.push(byte)
    else if (byte !== 0) throw new StructureError('unknown bytes after the deflated data set')
  }

  #checkSize(): void {
    const { inflatedBytes, inflateRatio } = this.#limits
    if (this.#inflatedBytes > inflatedBytes) {
      throw new InflatedTooLargeError(
        `the data set inflates to more than ${inflatedBytes} bytes`,
        inflatedBytes,
      )
    }
    if (
      this.#inflatedBytes > SMALL_BYTES &&
      this.#inflatedBytes > this.#deflatedBytes * inflateRatio
    ) {
      throw new InflatedTooLargeError(
        `the data set inflates to more than ${inflateRatio} times its size`,
        inflateRatio,
      )
    }
  }
}
