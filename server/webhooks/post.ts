import { request as requestHTTP } from 'node:http'
import { request as requestHTTPS } from 'node:https'
import { timeLimit } from '../http/time-limit.ts'
import { addressesOf, PrivateAddressError } from './addresses.ts'

export interface PostOptions {
  timeoutMs: number
  isPrivateAllowed: boolean
  signal: AbortSignal
}

/**
 * What a receiver answered, or why there is no answer; no word of it is the receiver's own. `retryAfterMs`: how
 * long it wants to be left alone (RFC 9110, section 10.2.3).
 */
export type Answer =
  | { status: number; retryAfterMs?: number | undefined }
  | { status: undefined; error: string }

/** Nothing was sent, so that another address of the same name may be tried. */
const unreachable = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'])

/**
 * Posts a body and reads the status of the answer, and nothing else of it. Follows no redirect, uses no proxy,
 * keeps no connection. Never throws.
 *
 * The name is looked up once, and the address that was checked is the one that is connected to; TLS is checked
 * against the name.
 */
export async function post(
  url: URL,
  body: Uint8Array,
  headers: Record<string, string>,
  { timeoutMs, isPrivateAllowed, signal }: PostOptions,
): Promise<Answer> {
  using limit = timeLimit(timeoutMs, signal)
  const ended = limit.signal
  try {
    const addresses = await unlessAborted(addressesOf(url.hostname, isPrivateAllowed), ended)
    for (const [index, address] of addresses.entries()) {
      try {
        return await postTo(address, url, body, headers, ended)
      } catch (error) {
        if (index === addresses.length - 1 || !unreachable.has(codeOf(error))) throw error
      }
    }
    throw new Error('the name has no address')
  } catch (error) {
    if (signal.aborted) return { status: undefined, error: 'the server stopped meanwhile' }
    if (ended.aborted) {
      return { status: undefined, error: `no answer within ${timeoutMs / 1000} s` }
    }
    if (error instanceof PrivateAddressError) return { status: undefined, error: error.message }
    // Messages of errors may hold anything; codes are words of the system.
    return { status: undefined, error: `no answer (${codeOf(error)})` }
  }
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : 'broken'
}

function postTo(
  address: string,
  url: URL,
  body: Uint8Array,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Answer> {
  const isTLS = url.protocol === 'https:'
  const name = url.hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    const request = (isTLS ? requestHTTPS : requestHTTP)(
      {
        host: address,
        port: url.port || (isTLS ? 443 : 80),
        path: `${url.pathname}${url.search}`,
        method: 'POST',
        headers: { host: url.host, 'content-length': body.byteLength, ...headers },
        agent: false,
        signal,
        // An address is no server name (RFC 6066, section 3).
        ...(isTLS && name !== address ? { servername: name } : {}),
      },
      (response) => {
        response.on('error', () => {})
        response.destroy()
        const status = response.statusCode as number
        resolve({ status, retryAfterMs: retryAfterMs(response.headers['retry-after']) })
      },
    )
    request.on('error', reject)
    // A receiver that answers 101 ends the connection with neither a response nor an error.
    request.on('close', () => reject(new Error('closed without an answer')))
    request.end(body)
  })
}

/** Seconds, or a date. What is neither says nothing. */
function retryAfterMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const ms = Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

/** A name that is never found holds up nobody longer than the time limit. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
