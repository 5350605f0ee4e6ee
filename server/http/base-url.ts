/** Whose word about the address of this server counts. */
export interface BaseURLPolicy {
  /** The public origin, when it is configured: `https://pacs.example`. */
  baseURL: string | undefined
  /** Whether this peer is a proxy whose `Forwarded` and `X-Forwarded-*` are believed. */
  isTrustedProxy(address: string | undefined): boolean
}

/**
 * The origin under which the sender of a request knows this server, without a trailing slash.
 *
 * In this order: what is configured; what a trusted proxy says (RFC 7239 `Forwarded`, else
 * `X-Forwarded-Proto`, `-Host` and `-Prefix`); what the request itself says. A header that is no host is
 * passed over, so that nothing but a host can get into a URL.
 */
export function baseURLOf(
  request: Request,
  peerAddress: string | undefined,
  policy: BaseURLPolicy,
): string {
  if (policy.baseURL !== undefined) return trimSlashes(policy.baseURL)
  if (!policy.isTrustedProxy(peerAddress)) return originOf(request.url)
  const own = new URL(request.url)
  const forwarded = forwardedOf(request.headers)
  const protocol = forwarded.protocol ?? own.protocol.slice(0, -1)
  const host = forwarded.host ?? own.host
  return `${protocol}://${host}${forwarded.prefix ?? ''}`
}

/** Of the URL of a request, which is written as URLs are, and has no credentials. */
function originOf(url: string): string {
  const end = url.indexOf('/', url.indexOf('://') + 3)
  return end < 0 ? url : url.slice(0, end)
}

interface Forwarded {
  protocol?: string | undefined
  host?: string | undefined
  prefix?: string | undefined
}

function forwardedOf(headers: Headers): Forwarded {
  const prefix = matching(trimSlashes(headers.get('x-forwarded-prefix') ?? ''), /^(\/[\w.~-]+)+$/)
  const standard = headers.get('forwarded')
  if (standard !== null) {
    // The first element is what the client asked the outermost proxy.
    const first = standard.split(',')[0] as string
    return {
      protocol: matching(parameter(first, 'proto'), /^https?$/i)?.toLowerCase(),
      host: hostOf(parameter(first, 'host')),
      prefix,
    }
  }
  const port = matching(firstOf(headers.get('x-forwarded-port')), /^\d{1,5}$/)
  const host = hostOf(firstOf(headers.get('x-forwarded-host')))
  const needsPort = host !== undefined && port !== undefined && !/:\d+$/.test(host)
  const protocol = matching(firstOf(headers.get('x-forwarded-proto')), /^https?$/i)?.toLowerCase()
  const isUsual = port === (protocol === 'https' ? '443' : '80')
  return { protocol, host: needsPort && !isUsual ? `${host}:${port}` : host, prefix }
}

const hostPattern = /^([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/

function parameter(element: string, name: string): string | undefined {
  const found = new RegExp(`(?:^|;)\\s*${name}=("[^"]*"|[^;]*)`, 'i').exec(element)
  return found?.[1]?.replace(/^"|"$/g, '').trim()
}

/** `http://2130706433.5` looks like one and is none: a URL takes it for an address. */
function hostOf(text: string | undefined): string | undefined {
  const host = matching(text, hostPattern)
  return host !== undefined && URL.canParse(`http://${host}`) ? host : undefined
}

function trimSlashes(text: string): string {
  let end = text.length
  while (text[end - 1] === '/') end--
  return text.slice(0, end)
}

function firstOf(list: string | null): string | undefined {
  return list?.split(',')[0]?.trim()
}

function matching(text: string | undefined, pattern: RegExp): string | undefined {
  return text !== undefined && pattern.test(text) ? text : undefined
}

/**
 * The network address of whoever asks: the other end of the connection, or where that is a trusted proxy, the last
 * address before it in `Forwarded` or `X-Forwarded-For` that is no such proxy too. What stands further to the left
 * is what clients say of themselves.
 */
export function clientAddressOf(
  headers: Headers,
  peerAddress: string | undefined,
  { isTrustedProxy }: Pick<BaseURLPolicy, 'isTrustedProxy'>,
): string | undefined {
  if (!isTrustedProxy(peerAddress)) return peerAddress
  const standard = headers.get('forwarded')
  const chain = (standard ?? headers.get('x-forwarded-for') ?? '')
    .split(',')
    .map((entry) => (standard === null ? entry.trim() : (parameter(entry, 'for') ?? '')))
    .map((entry) =>
      matching(
        entry.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1'),
        /^[\d.a-f:]+$/i,
      ),
    )
    .filter((entry) => entry !== undefined)
  // With everybody trusted there is no telling; the nearest is the one that nobody could make up.
  return chain.findLast((address) => !isTrustedProxy(address)) ?? chain.at(-1) ?? peerAddress
}
