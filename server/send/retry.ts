import { TimeoutError } from './post.ts'

const firstDelayMs = 500
const longestDelayMs = 30_000

/** A server that asks for more patience than this is left alone; the command can be given again. */
export const longestRetryAfterMs = 600_000

/**
 * How long to wait before a request is sent again: twice as long each time, and never less than the
 * server asked for. Half of it is chance, so that senders who were refused together do not come back
 * together.
 *
 * @param attempt How many were made, from 1.
 * @param random 0 to 1.
 */
export function retryDelayMs(
  attempt: number,
  retryAfterMs: number | undefined,
  random: number,
): number {
  const longest = Math.min(firstDelayMs * 2 ** (attempt - 1), longestDelayMs)
  const jittered = longest / 2 + (random * longest) / 2
  // Never earlier than asked; later by chance.
  return Math.round(retryAfterMs === undefined ? jittered : retryAfterMs + random * firstDelayMs)
}

/** Seconds, or an instant. (RFC 9110 10.2.3) Undefined when it is neither. */
export function parseRetryAfter(
  header: string | string[] | undefined,
  now: number,
): number | undefined {
  const text = (Array.isArray(header) ? header[0] : header)?.trim()
  if (!text) return undefined
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

/** Errors of a connection that another attempt may not meet. */
const passingCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
])

/** No connection came about: whatever was to be sent, nobody was there to take it. */
const awayCodes = new Set([
  'ECONNREFUSED',
  'ConnectionRefused',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
])

const words: Record<string, string> = {
  ECONNREFUSED: 'nobody listens there',
  ConnectionRefused: 'nobody listens there',
  ECONNRESET: 'the connection broke',
  ECONNABORTED: 'the connection broke',
  EPIPE: 'the connection broke',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  ENOTFOUND: 'there is no host of that name',
}

/** What to think of an error of a connection. */
export interface ErrorVerdict {
  /** The same request may succeed later. */
  isPassing: boolean
  /** Nobody was reached at that address. */
  isAway: boolean
  /** What is wrong, in words. */
  reason: string
}

/** @param url Where the request went: whoever cannot be reached is named by its origin. */
export function judgeError(error: unknown, url: string): ErrorVerdict {
  if (error instanceof TimeoutError) {
    return { isPassing: true, isAway: false, reason: error.message }
  }
  const codes = codesOf(error)
  const code = codes.find((one) => words[one] !== undefined) ?? codes[0]
  if (code === undefined) return { isPassing: false, isAway: false, reason: messageOf(error) }
  const isAway = codes.every((one) => awayCodes.has(one))
  const why = words[code] ?? `the connection failed: ${code}`
  return {
    isPassing: codes.every((one) => passingCodes.has(one)),
    isAway,
    reason: isAway ? cannotReach(url, why) : why,
  }
}

export function cannotReach(url: string, why: string): string {
  return `${new URL(url).origin} cannot be reached: ${why}`
}

/** Of fetch the cause: it says "fetch failed" of everything. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message } = error.cause instanceof Error ? error.cause : error
  if (!message.startsWith('error sending request')) return message
  // Deno has no code for it, and names the whole address.
  return /\(Connect\)|refused/.test(message) ? 'nobody listens there' : 'the connection broke'
}

/** A name with several addresses fails once for each, in one AggregateError. */
function codesOf(error: unknown): string[] {
  const { code, errors, cause } = error as { code?: unknown; errors?: unknown; cause?: unknown }
  if (Array.isArray(errors) && errors.length > 0) return errors.flatMap(codesOf)
  if (typeof code === 'string') return [code]
  // That of fetch.
  return cause instanceof Error ? codesOf(cause) : []
}
