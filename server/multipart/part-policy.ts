import { type MediaType, MediaTypeError, parseMediaType } from './media-type.ts'
import { PartHeaderError, UnsupportedPartError } from './multipart-errors.ts'
import type { PartHeaders } from './part-headers.ts'

// MP-22: these three leave the octets as they are. A decoder for the others would change what was sent.
const identityEncodings = new Set(['binary', '8bit', '7bit'])

/**
 * Checks that a part is of the one kind that the request may hold.
 *
 * | part says | result |
 * | --- | --- |
 * | `rootType`, with any parameters | accepted (MP-18) |
 * | another type | 415 (MP-19) |
 * | `multipart/...` | 415 (MP-30) |
 * | no type, first part | accepted when the request names a type (RFC 2387 3.1), else 415 (MP-17) |
 * | no type, later part | 415, since MIME's default is text/plain (MP-17) |
 * | base64, quoted-printable or unknown encoding | 415 (MP-22) |
 *
 * @param index          From 0, in the order of the body.
 * @param rootType       `type/subtype`, lower case.
 * @param isTypeDeclared Whether the request's Content-Type has a `type` parameter (MP-08).
 * @throws {UnsupportedPartError} As above. Answered 415, whole request.
 * @throws {PartHeaderError}      Content-Type cannot be parsed. Answered 400, whole request.
 */
export function checkPart(
  headers: PartHeaders,
  index: number,
  rootType: string,
  isTypeDeclared = true,
): void {
  const partNumber = index + 1
  checkEncoding(headers, partNumber)
  const contentType = headers.get('content-type')
  if (contentType === undefined) {
    if (index === 0 && isTypeDeclared) return
    throw new UnsupportedPartError(partNumber, `it has no Content-Type; declare "${rootType}"`)
  }
  const type = parsePartType(contentType, partNumber).type
  if (type.startsWith('multipart/')) {
    throw new UnsupportedPartError(partNumber, 'it is a multipart body of its own')
  }
  if (type !== rootType) {
    throw new UnsupportedPartError(partNumber, `its Content-Type is not "${rootType}"`)
  }
}

/** @throws {UnsupportedPartError} base64, quoted-printable or unknown encoding (MP-22). Answered 415. */
export function checkEncoding(headers: PartHeaders, partNumber: number): void {
  const encoding = headers.get('content-transfer-encoding')?.toLowerCase() ?? 'binary'
  if (identityEncodings.has(encoding)) return
  throw new UnsupportedPartError(
    partNumber,
    'its Content-Transfer-Encoding changes the octets; send them as "binary"',
  )
}

/** What the last part said: the next one nearly always says the same. */
let last = { contentType: '', mediaType: { type: '', parameters: new Map() } as MediaType }

/** @throws {PartHeaderError} Content-Type cannot be parsed. Answered 400. */
export function parsePartType(contentType: string, partNumber: number): MediaType {
  if (contentType === last.contentType) return last.mediaType
  try {
    const mediaType = parseMediaType(contentType)
    last = { contentType, mediaType }
    return mediaType
  } catch (cause) {
    if (!(cause instanceof MediaTypeError)) throw cause
    throw new PartHeaderError(partNumber, '"content-type" is not a media type', { cause })
  }
}
