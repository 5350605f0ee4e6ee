import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import { OperatorError } from '../operator-error.ts'

export class DatabaseTLSError extends OperatorError {
  override name = 'DatabaseTLSError'
}

/** How a connection to Postgres is encrypted. */
export interface PostgresTLS {
  /** Without it, what does not offer TLS is spoken to in the clear. */
  isRequired: boolean
  options: ConnectionOptions
}

/** What libpq calls these (its documentation, 32.19 "SSL Support"), and what of a certificate each of them checks. */
const modes = {
  prefer: { isRequired: false, options: { rejectUnauthorized: false } },
  require: { isRequired: true, options: { rejectUnauthorized: false } },
  'verify-ca': { isRequired: true, options: { checkServerIdentity: () => undefined } },
  'verify-full': { isRequired: true, options: {} },
} satisfies Record<string, PostgresTLS>

const files = { sslrootcert: 'ca', sslcert: 'cert', sslkey: 'key' } as const

/**
 * Reads `sslmode`, `sslrootcert`, `sslcert` and `sslkey` of a URL, as libpq does.
 *
 * @returns The URL without them, and how it wants to be encrypted; undefined: not at all.
 * @throws {DatabaseTLSError} It wants what we cannot do, or names a file that cannot be read.
 */
export async function tlsOfURL(
  databaseURL: string,
): Promise<{ url: string; tls: PostgresTLS | undefined }> {
  const [address = '', query] = databaseURL.split(/\?(.*)/s)
  const parameters = new URLSearchParams(query)
  const rootFile = parameters.get('sslrootcert')
  const mode = parameters.get('sslmode') ?? (rootFile === 'system' ? 'verify-full' : 'disable')
  const given: ConnectionOptions = {}
  for (const [parameter, option] of Object.entries(files)) {
    const path = parameters.get(parameter)
    if (path !== null && path !== 'system') given[option] = await readNamed(parameter, path)
    parameters.delete(parameter)
  }
  parameters.delete('sslmode')
  const url = parameters.size > 0 ? `${address}?${parameters}` : address
  if (mode === 'disable') return { url, tls: undefined }
  if (!Object.hasOwn(modes, mode)) {
    throw new DatabaseTLSError(
      `Cannot use the URL of the database: sslmode is none of disable, ${Object.keys(modes).join(', ')}`,
    )
  }
  // As with libpq: an authority that is named is asked.
  const named = mode === 'require' && given.ca !== undefined ? 'verify-ca' : mode
  const { isRequired, options } = modes[named as keyof typeof modes]
  return { url, tls: { isRequired, options: { ...options, ...given } } }
}

async function readNamed(parameter: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new DatabaseTLSError(
      `Cannot use the URL of the database: the file of ${parameter} cannot be read (${(cause as { code?: string }).code})`,
      { cause },
    )
  }
}

/** Eight bytes: their number, and what no version of the protocol is called (PostgreSQL, "Message Formats"). */
const SSL_REQUEST = Buffer.from('0000000804d2162f', 'hex')

/**
 * Asks Postgres for TLS and goes over to it.
 *
 * @throws {Error} It does not offer what is required, or its certificate is not good enough.
 */
export async function secure(
  socket: Socket,
  host: string,
  { isRequired, options }: PostgresTLS,
  signal: AbortSignal,
): Promise<Socket> {
  socket.write(SSL_REQUEST)
  const answer = await answerOf(socket, signal)
  // What came with it was sent in the clear by who knows whom (CVE-2021-23222).
  if (answer === 'S') {
    const servername = isIP(host) === 0 ? { servername: host } : {}
    const secured = connect({ ...options, ...servername, socket, host })
    await once(secured, 'secureConnect', { signal })
    return secured
  }
  if (answer === 'N' && !isRequired) return socket
  const error = new Error('The database offers no TLS, which sslmode asks for')
  throw Object.assign(error, { code: 'NO_TLS' })
}

function answerOf(socket: Socket, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('data', (bytes) => resolve(bytes.toString('latin1')))
    socket.once('error', reject)
    socket.once('close', () => {
      reject(Object.assign(new Error('Connection closed'), { code: 'ECONNRESET' }))
    })
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
