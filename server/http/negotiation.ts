import type { Context } from 'hono'
import {
  type AcceptEntry,
  type Choice,
  negotiate,
  type Offer,
  parseAccept,
} from '../multipart/accept.ts'
import type { AppEnv } from './env.ts'
import { HttpProblem } from './problem.ts'

/** Answers to headers that came before: a client sends the same ones with each request. */
const known = new Map<string, readonly AcceptEntry[]>()
const knownAtMost = 200
const knownLength = 500

/**
 * What the client takes, best first: the header, or the query parameter `accept`, which goes before it (PS3.18 8.3.3.1).
 *
 * Entries whose charset is not UTF-8 are dropped: all our text is that; so it is with Accept-Charset, and with the
 * parameter `charset`, which goes before it (PS3.18 8.3.3.2; WA-N17, QI-P15).
 *
 * @throws {HttpProblem} 400 a wildcard in the parameter (WA-N8), or DICOM and rendered types in one request (WA-N6);
 *   406 no charset of ours is accepted
 */
export function acceptedBy(c: Context<AppEnv>): readonly AcceptEntry[] {
  // Most have no query.
  const hasQuery = c.req.url.includes('?')
  const asked = [
    c.req.header('accept'),
    hasQuery ? c.req.query('accept') : undefined,
    (hasQuery ? c.req.query('charset') : undefined) ?? c.req.header('accept-charset'),
  ] as const
  const key = JSON.stringify(asked)
  const before = known.get(key)
  if (before !== undefined) return before
  const entries = read(...asked)
  if (key.length > knownLength) return entries
  if (known.size >= knownAtMost) known.clear()
  known.set(key, entries)
  return entries
}

function read(
  accept: string | undefined,
  parameter: string | undefined,
  charset: string | undefined,
): readonly AcceptEntry[] {
  const header = parseAccept(accept)
  const entries = parameter === undefined ? header : parameterEntries(parameter, header)
  const wanted = entries.filter(({ quality }) => quality > 0)
  if (wanted.some(isDicomType) && wanted.some(isRenderedType)) {
    throw new HttpProblem(400, 'Cannot choose an answer: Accept mixes DICOM and rendered types')
  }
  if (!takesUTF8(charset)) {
    throw new HttpProblem(406, 'Cannot answer in any charset that is asked for; there is utf-8')
  }
  return entries.filter(({ parameters }) => takesUTF8(parameters.get('charset')))
}

/** @throws {HttpProblem} 406 with what there is (WA-N5, QI-S8) */
export function choose<T extends Offer>(
  entries: readonly AcceptEntry[],
  offers: readonly T[],
): Choice<T> {
  return negotiate(entries, offers) ?? notAcceptable(offers)
}

export function notAcceptable(offers: readonly Offer[], why = ''): never {
  const available = [...new Set(offers.map(nameOf))]
  throw new HttpProblem(
    406,
    `Cannot answer in any type that Accept lists${why}; there is ${available.join(', ') || 'nothing'}`,
    { members: { available }, headers: { vary: 'Accept' } },
  )
}

/** As a Content-Type names it, without its boundary. */
export function nameOf({ type, root, transferSyntaxUID }: Offer): string {
  const syntax = transferSyntaxUID === undefined ? '' : `; transfer-syntax=${transferSyntaxUID}`
  return root === undefined ? `${type}${syntax}` : `${type}; type="${root}"${syntax}`
}

function parameterEntries(parameter: string, header: AcceptEntry[]): AcceptEntry[] {
  // Clients forget that + means a space in a query.
  const entries = parseAccept(parameter.replace(/dicom (json|xml)/g, 'dicom+$1'))
  if (entries.some(({ type, root }) => type.includes('*') || root?.includes('*'))) {
    throw new HttpProblem(
      400,
      'Cannot choose an answer: the query parameter accept has a wildcard, which only the header may have',
    )
  }
  // "The value shall be one of the values in the Accept header" (WA-N8).
  return entries.filter(
    ({ type, root, transferSyntax }) =>
      negotiate(header, [
        {
          type,
          ...(root === undefined ? {} : { root }),
          ...(transferSyntax === undefined || transferSyntax === '*'
            ? {}
            : { transferSyntaxUID: transferSyntax }),
        },
      ]) !== undefined,
  )
}

function isDicomType({ type, root }: AcceptEntry): boolean {
  return /^application\/(dicom|octet-stream)/.test(root ?? type)
}

/** Types that only rendered resources have (PS3.18 Table 8.7.4-1); image/jpeg is of both kinds. */
function isRenderedType({ type }: AcceptEntry): boolean {
  return /^(image\/(gif|png)|text\/(html|plain|xml|rtf)|application\/pdf)$/.test(type)
}

/** @param charsets Missing or blank takes everything. */
export function takesUTF8(charsets: string | undefined): boolean {
  if (charsets === undefined || charsets.trim() === '') return true
  const named = charsets.split(',').map((entry) => {
    const [name = '', ...parameters] = entry.split(';').map((text) => text.trim().toLowerCase())
    return { name, isRefused: parameters.some((text) => /^q=0(\.0*)?$/.test(text)) }
  })
  const own = named.find(({ name }) => name === 'utf-8' || name === 'utf8')
  const deciding = own ?? named.find(({ name }) => name === '*')
  return deciding !== undefined && !deciding.isRefused
}
