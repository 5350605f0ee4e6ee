/**
 * The cookie of a session. Behind TLS its name begins with `__Host-`: browsers take such a cookie from this host
 * alone, over TLS alone, so no neighbour domain can set one of its own. (RFC 6265bis 4.1.3.2)
 */
const names = { secure: '__Host-stowage', plain: 'stowage_session' }

/** The secret in the cookie of a request. Over TLS only the name that nobody else can set counts. */
export function readSessionCookie(headers: Headers, isSecure: boolean): string | undefined {
  const name = isSecure ? names.secure : names.plain
  for (const pair of (headers.get('cookie') ?? '').split(';')) {
    const [key, value] = pair.trim().split('=', 2)
    if (key === name && value !== undefined && /^[\w-]{43}$/.test(value)) return value
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
  const name = isSecure ? names.secure : names.plain
  const attributes = ['Path=/', 'HttpOnly', 'SameSite=Lax', ...(isSecure ? ['Secure'] : [])]
  return [
    `${name}=${secret ?? ''}`,
    ...attributes,
    `Max-Age=${secret === undefined ? 0 : seconds}`,
  ].join('; ')
}

/** Whether a browser has signed in here, or thinks so. */
export function hasSessionCookie(headers: Headers): boolean {
  return [true, false].some((isSecure) => readSessionCookie(headers, isSecure) !== undefined)
}
