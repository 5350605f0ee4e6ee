import type { Handling } from '../../db/transfers.ts'
import { HttpProblem } from '../http/problem.ts'
import { negotiate, parseAccept } from '../multipart/accept.ts'
import {
  type MediaType,
  multipartBoundary,
  parseMediaType,
  rootMediaType,
  splitOutsideQuotes,
} from '../multipart/media-type.ts'

/** How the instances come: one a part, or the body is the one instance, or as metadata with bulk data. */
export type Payload =
  | { form: 'multipart'; boundary: string; isTypeDeclared: boolean }
  | { form: 'single' }
  | MetadataPayload

/** Metadata and bulk data, from which the instances have to be made. */
export interface MetadataPayload {
  form: 'metadata'
  model: 'json' | 'xml'
  /** The media type of metadata. */
  type: string
  /** Undefined: the body is metadata and nothing else (ST-M5). */
  boundary?: string
  /** The Content-ID of the root part (RFC 2387 3.2; MP-10). */
  start?: string
}

export type AnswerType = 'json' | 'xml' | 'multipart-xml'

const dicom = 'application/dicom'
const models = new Map([
  ['application/dicom+json', 'json' as const],
  ['application/dicom+xml', 'xml' as const],
])

const answers = [
  { type: 'application/dicom+json', aliases: ['application/json'], answer: 'json' as const },
  { type: 'application/dicom+xml', answer: 'xml' as const },
  { type: 'multipart/related', root: 'application/dicom+xml', answer: 'multipart-xml' as const },
]

/** What nearly all senders say, which takes 4 µs to be parsed; only the boundary differs. */
const usual =
  /^multipart\/related; ?type="application\/dicom"; ?boundary=(?:([\w'+.-]{1,70})|"([\w'+.-]{1,70})")$/

/**
 * What the body is, by its Content-Type. (PS3.18 10.5.1.4; ST-M1 to ST-M5, MP-01 to MP-10)
 *
 * @throws {HttpProblem} 415 missing or not supported; {MediaTypeError}, {BoundaryError} → 400
 */
export function parsePayload(contentType: string | null): Payload {
  if (contentType === null || contentType.trim() === '') throw unsupported('it has no Content-Type')
  const [, bare, quoted] = usual.exec(contentType) ?? []
  const boundary = bare ?? quoted
  if (boundary !== undefined) return { form: 'multipart', boundary, isTypeDeclared: true }
  const mediaType = parseMediaType(contentType)
  if (mediaType.type === dicom) return { form: 'single' }
  const model = models.get(mediaType.type)
  if (model !== undefined) return { form: 'metadata', model, type: checkedType(mediaType) }
  if (mediaType.type !== 'multipart/related') {
    throw unsupported(`its Content-Type is "${mediaType.type}"`)
  }
  const root = rootMediaType(mediaType)
  const partModel = root && models.get(root.type)
  if (partModel !== undefined) {
    const type = checkedType(root as MediaType)
    const start = mediaType.parameters.get('start')
    const boundary = multipartBoundary(mediaType)
    return { form: 'metadata', model: partModel, type, boundary, ...(start ? { start } : {}) }
  }
  if (root !== undefined && root.type !== dicom) {
    throw unsupported(`the type of its parts is "${root.type}"`)
  }
  return {
    form: 'multipart',
    boundary: multipartBoundary(mediaType),
    isTypeDeclared: root !== undefined,
  }
}

/** Metadata are UTF-8 (PS3.18 F.2; RFC 8259 8.1); ASCII is that, too. */
function checkedType({ type, parameters }: MediaType): string {
  const charset = parameters.get('charset')?.toLowerCase() ?? 'utf-8'
  if (charset === 'utf-8' || charset === 'us-ascii') return type
  throw unsupported('the charset of its metadata is not UTF-8')
}

const taken = [
  'multipart/related; type="application/dicom"',
  'application/dicom',
  'multipart/related; type="application/dicom+json"',
  'multipart/related; type="application/dicom+xml"',
  'application/dicom+json',
  'application/dicom+xml',
]

function unsupported(reason: string): HttpProblem {
  return new HttpProblem(415, `Cannot store the request: ${reason}; send ${taken.join(', or ')}`, {
    headers: { accept: taken.join(', ') },
  })
}

/** In which form the answer is wanted (ST-H4 to ST-H6). @throws {HttpProblem} 406 */
export function parseAnswerType(accept: string | null): AnswerType {
  // What nearly all clients say, so that it is not parsed each time.
  if (accept === null || accept === 'application/dicom+json') return 'json'
  const choice = negotiate(parseAccept(accept), answers)
  if (choice !== undefined) return choice.offer.answer
  throw new HttpProblem(
    406,
    'Cannot answer in any type that Accept lists; accept application/dicom+json or application/dicom+xml',
    { members: { available: ['application/dicom+json', 'application/dicom+xml'] } },
  )
}

/**
 * Strict or lenient, as `Prefer: handling=...` asks (RFC 7240 4.4). Of a preference given twice the
 * first counts (RFC 7240 2); one that we do not know counts as not given.
 */
export function parseHandling(
  prefer: string | null,
  byDefault: Handling,
): { handling: Handling; isPreferred: boolean } {
  const wanted = splitOutsideQuotes(prefer ?? '', ',')
    .map((preference) => /^\s*handling\s*=\s*"?([\w-]+)"?\s*(?:;|$)/i.exec(preference)?.[1])
    .find((value) => value !== undefined)
    ?.toLowerCase()
  return wanted === 'strict' || wanted === 'lenient'
    ? { handling: wanted, isPreferred: true }
    : { handling: byDefault, isPreferred: false }
}

const declaration = 'study-instance-count'
const mostInstances = 2 ** 31 - 1

/**
 * How many instances the study holds in all, as its sender says in `Study-Instance-Count`; recorded as evidence when
 * the request is committed. See docs/completeness.md.
 *
 * @throws {HttpProblem} 400 it is no number, or the path does not say of which study
 */
export function parseDeclaration(
  headers: Headers,
  studyInstanceUID: string | undefined,
): number | undefined {
  const text = headers.get(declaration)?.trim()
  if (text === undefined) return undefined
  if (studyInstanceUID === undefined) {
    throw new HttpProblem(
      400,
      'Cannot store the request: Study-Instance-Count is of one study; post to /studies/{study}',
    )
  }
  const count = Number(text)
  if (/^\d{1,10}$/.test(text) && count <= mostInstances) return count
  throw new HttpProblem(
    400,
    `Cannot store the request: Study-Instance-Count is no whole number from 0 to ${mostInstances}`,
  )
}
