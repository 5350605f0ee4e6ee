import { BoundaryError } from './multipart-errors.ts'

/** A media type as a Content-Type or one entry of Accept carries it. */
export interface MediaType {
  /** `type/subtype`, lower case. In Accept either may be `*`. */
  readonly type: string
  /** Names lower case; values verbatim, without their quotes and escapes. */
  readonly parameters: ReadonlyMap<string, string>
}

/** A media type that cannot be parsed. Answered 400 (ST-H1). */
export class MediaTypeError extends SyntaxError {
  override readonly name = 'MediaTypeError'
  readonly status = 400
}

/** RFC 2046 5.1.1: a boundary has 1 to 70 characters. */
export const maximumBoundaryLength = 70

const fullType = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// RFC 6838 4.2: 127 characters each. What is refused is told by its name.
const maximumNameLength = 127
const parameterName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const quotedString = /^"(?:[^"\\]|\\.)*"$/s
// Bytes, as the HTTP layer hands them over, are one code unit each: what is outside of
// printable ASCII is a control character, or cannot be part of a boundary at all.
const printableAscii = /^[ -~]*$/

/**
 * Parses a media type with its parameters. Linear in the length of the header.
 *
 * More lenient than RFC 9110 5.6.6 where a meaning is beyond doubt: spaces and tabs around `;` and
 * `=` (MP-03), and characters in an unquoted value that would need quotes, up to the next `;`
 * (MP-01, MP-05). A quoted value may hold anything, another media type with parameters included
 * (MP-06).
 *
 * @throws {MediaTypeError} No `/`, a parameter without `=`, quotes that are not closed or stand in
 *   the middle of a value, the same parameter twice. Answered 400 (ST-H1).
 */
export function parseMediaType(header: string): MediaType {
  const [type = '', ...rest] = splitOutsideQuotes(header, ';').map(trimSpaces)
  if (!fullType.test(type) || type.length > 2 * maximumNameLength + 1) {
    throw new MediaTypeError('Cannot parse media type: it has no "type/subtype"')
  }
  const parameters = new Map<string, string>()
  for (const parameter of rest) {
    // RFC 9110 5.6.6 allows nothing at all between two semicolons, or after the last one.
    if (parameter === '') continue
    const [name, value] = parseParameter(parameter)
    if (parameters.has(name)) {
      throw new MediaTypeError(`Cannot parse media type: parameter "${name}" is given twice`)
    }
    parameters.set(name, value)
  }
  return { type: type.toLowerCase(), parameters }
}

/**
 * The boundary of a multipart media type, checked.
 *
 * @throws {BoundaryError} Missing, empty, over 70 characters, ending with a space, or with
 *   characters outside of printable ASCII. Answered 400, whole request (MP-07).
 */
export function multipartBoundary(mediaType: MediaType): string {
  const boundary = mediaType.parameters.get('boundary')
  if (boundary === undefined) {
    throw new BoundaryError('Cannot read multipart body: Content-Type has no boundary parameter')
  }
  checkBoundary(boundary)
  return boundary
}

/** @throws {BoundaryError} As `multipartBoundary` (MP-07). */
export function checkBoundary(boundary: string): void {
  if (boundary === '') {
    throw new BoundaryError('Cannot read multipart body: the boundary is empty')
  }
  if (boundary.length > maximumBoundaryLength) {
    throw new BoundaryError(
      `Cannot read multipart body: the boundary has ${boundary.length} characters, ` +
        `the maximum is ${maximumBoundaryLength}`,
    )
  }
  if (!printableAscii.test(boundary)) {
    throw new BoundaryError(
      'Cannot read multipart body: the boundary has characters outside of printable ASCII',
    )
  }
  if (boundary.endsWith(' ')) {
    throw new BoundaryError('Cannot read multipart body: the boundary ends with a space')
  }
}

/**
 * What the `type` parameter of a multipart/related media type says, parsed as a media type of its
 * own (MP-06), or `undefined` without that parameter (MP-08, WA-N15).
 *
 * @throws {MediaTypeError} Its value is not a media type. Answered 400 (ST-H1).
 */
export function rootMediaType(mediaType: MediaType): MediaType | undefined {
  const root = mediaType.parameters.get('type')
  return root === undefined ? undefined : parseMediaType(root)
}

/**
 * Splits at a separator wherever that does not stand inside a quoted string.
 * Quotes that are not closed reach to the end of the last piece; nothing is thrown.
 */
export function splitOutsideQuotes(text: string, separator: ',' | ';'): string[] {
  const pieces: string[] = []
  let start = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (quoted && character === '\\') at++
    else if (character === '"') quoted = !quoted
    else if (!quoted && character === separator) {
      pieces.push(text.slice(start, at))
      start = at + 1
    }
  }
  pieces.push(text.slice(start))
  return pieces
}

/** Strips spaces and tabs only: `trim` takes more, and a regular expression costs n² on long runs. */
export function trimSpaces(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isSpace(text[start])) start++
  while (end > start && isSpace(text[end - 1])) end--
  return text.slice(start, end)
}

function isSpace(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}

function parseParameter(parameter: string): [name: string, value: string] {
  const equals = parameter.indexOf('=')
  const name = trimSpaces(parameter.slice(0, Math.max(equals, 0))).toLowerCase()
  if (!parameterName.test(name) || name.length > maximumNameLength) {
    throw new MediaTypeError('Cannot parse media type: a parameter has no "name=value"')
  }
  const value = trimSpaces(parameter.slice(equals + 1))
  if (!value.includes('"')) return [name, value]
  if (!quotedString.test(value)) {
    throw new MediaTypeError(`Cannot parse media type: broken quotes in parameter "${name}"`)
  }
  return [name, value.slice(1, -1).replace(/\\(.)/gs, '$1')]
}
