/**
 * The cookie of a session. Behind TLS its name begins with `__Host-`: browsers take such a cookie from this host
 * alone, over TLS alone, so no neighbour domain can set one of its own. (RFC 6265bis 4.1.3.2)
 */
const names = { secure: '__Host-stowage', plain: 'stowage_session' }

/** What is kept of somebody who is signing in at a provider. */
const pendingNames = { secure: '__Host-stowage-login', plain: 'stowage_login' }

/** The secret in the cookie of a request. Over TLS only the name that nobody else can set counts. */
export function readSessionCookie(headers: Headers, isSecure: boolean): string | undefined {
  return read(headers, isSecure ? names.secure : names.plain, /^[\w-]{43}$/)
}

export function readPendingCookie(headers: Headers, isSecure: boolean): string | undefined {
  return read(headers, isSecure ? pendingNames.secure : pendingNames.plain, /^[\w-]+$/)
}

function read(headers: Headers, name: string, pattern: RegExp): string | undefined {
  for (const pair of (headers.get('cookie') ?? '').split(';')) {
    const [key, value] = pair.trim().split('=', 2)
    if (key === name && value !== undefined && pattern.test(value)) return value
  }
  return undefined
}

/**
 * `SameSite=Lax`: a link in a mail leads in; what changes something is judged by where it comes from (see the gate).
 *
 * @param secret Undefined: the browser forgets it.
 */
export function sessionCookie(
  secret: string | undefined,
  isSecure: boolean,
  seconds: number,
): string {
  return cookie(isSecure ? names.secure : names.plain, secret, isSecure, seconds)
}

/** `SameSite=Lax`, too: the provider leads back from its own site. */
export function pendingCookie(
  text: string | undefined,
  isSecure: boolean,
  seconds: number,
): string {
  return cookie(isSecure ? pendingNames.secure : pendingNames.plain, text, isSecure, seconds)
}

function cookie(
  name: string,
  value: string | undefined,
  isSecure: boolean,
  seconds: number,
): string {
  const attributes = ['Path=/', 'HttpOnly', 'SameSite=Lax', ...(isSecure ? ['Secure'] : [])]
  return [
    `${name}=${value ?? ''}`,
    ...attributes,
    `Max-Age=${value === undefined ? 0 : seconds}`,
  ].join('; ')
}

/** Whether a browser has signed in here, or thinks so. */
export function hasSessionCookie(headers: Headers): boolean {
  return [true, false].some((isSecure) => readSessionCookie(headers, isSecure) !== undefined)
}
