import { Buffer } from 'node:buffer'

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// What fits a header line: HTAB and printable characters of one byte.
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/

/** A boundary with 122 random bits, so that no data holds it (WA-S9). Needs no quotes. */
export function newBoundary(): string {
  return `stowage-${crypto.randomUUID()}`
}

/**
 * What goes before the octets of a part: delimiter line, headers, empty line. The octets follow as
 * they are. It begins with the CR LF that ends the part before it.
 *
 * @param headers In this order, with the names as given; latin1.
 * @param isFirst Leaves that CR LF out, so that the body starts with its delimiter. A body that
 *   starts with CR LF is just as valid (an empty preamble), but not every client reads it.
 * @throws {TypeError} A name or value would break out of its line. A fault of the caller, never sent.
 */
export function partHeader(
  boundary: string,
  headers: Iterable<readonly [name: string, value: string]>,
  isFirst = false,
): Uint8Array {
  let text = `${isFirst ? '' : '\r\n'}--${boundary}\r\n`
  for (const [name, value] of headers) {
    if (!token.test(name) || !headerValue.test(value)) {
      throw new TypeError('Cannot write part header: name or value does not fit a header line')
    }
    text += `${name}: ${value}\r\n`
  }
  return Buffer.from(`${text}\r\n`, 'latin1')
}

/** The closing delimiter, with the CR LF that ends the last part. */
export function closing(boundary: string): Uint8Array {
  return Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1')
}
