import { Buffer } from 'node:buffer'
import { MetadataSyntaxError } from './json-text.ts'

/** Bytes in which the XML declaration has to end. */
const declarationBytes = 256

/**
 * The text of an XML document, by the encoding that its declaration names: UTF-8 where there is none.
 *
 * @throws {MetadataSyntaxError} an encoding that nobody here knows, or bytes that are not of it → 400
 * @see XML 1.0, 4.3.3
 */
export function decodeXml(bytes: Uint8Array): string {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, declarationBytes))
  const [, encoding = 'utf-8'] =
    /^(?:\xef\xbb\xbf)?<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']/.exec(
      head.toString('latin1'),
    ) ?? []
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new MetadataSyntaxError(
      'Cannot read metadata: they are not in the encoding that they name',
      {
        cause,
      },
    )
  }
}
