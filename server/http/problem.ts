import { WholeResponse } from './whole-response.ts'

/**
 * The request as a whole fails. Answered as `application/problem+json` (RFC 9457).
 *
 * The title is the same for all problems of one status; the detail says what is wrong with this
 * request and what to do, and never holds patient data.
 */
export class HttpProblem extends Error {
  override name = 'HttpProblem'
  readonly status: ProblemStatus
  readonly headers: Record<string, string>
  /** Members of our own beside those of RFC 9457. */
  readonly members: Record<string, unknown>

  constructor(
    status: ProblemStatus,
    detail: string,
    options: {
      headers?: Record<string, string>
      members?: Record<string, unknown>
      cause?: unknown
    } = {},
  ) {
    super(detail, { cause: options.cause })
    this.status = status
    this.headers = options.headers ?? {}
    this.members = options.members ?? {}
  }

  toResponse(): Response {
    const { status, message, members, headers } = this
    const body = { type: 'about:blank', title: titles[status], status, detail: message, ...members }
    return new WholeResponse(`${JSON.stringify(body)}\n`, {
      status,
      headers: {
        'content-type': 'application/problem+json',
        'cache-control': 'no-store',
        ...headers,
      },
    })
  }
}

const titles = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  507: 'Insufficient Storage',
} as const

export type ProblemStatus = keyof typeof titles
