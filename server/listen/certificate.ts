import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { Server } from 'node:https'
import { createSecureContext } from 'node:tls'
import { OperatorError } from '../operator-error.ts'
import type { TlsFiles } from './host.ts'

/** Milliseconds between looks at the files; by their times, as links and mounted secrets tell of no change. */
const lookMs = 5_000

const takesRestart = 'The certificate has changed; this runtime takes the new one at the next start'

export type Certificate = { cert: string; key: string }

/** The certificate cannot be used. */
export class CertificateError extends OperatorError {
  override name = 'CertificateError'
}

/** @throws {CertificateError} A file cannot be read, or the key is not the certificate's. */
export async function readCertificate({ certFile, keyFile }: TlsFiles): Promise<Certificate> {
  const [cert, key] = (await Promise.all([certFile, keyFile].map(read))) as [string, string]
  try {
    // Deno's secure context would take anything.
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
      throw new Error('the key is of another certificate')
    }
    createSecureContext({ cert, key })
  } catch (cause) {
    // What OpenSSL says has no secrets: "no start line", "unsupported".
    throw new CertificateError(
      `Cannot use the certificate ${certFile} with the key ${keyFile}: ${(cause as Error).message}`,
      { cause },
    )
  }
  return { cert, key }
}

/**
 * Gives a server its certificate anew whenever the files change; one that cannot be used is told, and the last good
 * one goes on.
 *
 * @returns what ends it.
 */
export function followCertificate(
  server: Server,
  files: TlsFiles,
  onFault: (error: unknown) => void,
): () => void {
  let seen: string | undefined
  async function look(): Promise<void> {
    const now = await signOf(files)
    const isChanged = seen !== undefined && now !== seen
    seen = now
    if (!isChanged) return
    const certificate = await readCertificate(files)
    // Bun's server has no such method.
    if (typeof server.setSecureContext !== 'function') throw new CertificateError(takesRestart)
    server.setSecureContext(certificate)
  }
  const lookAndTell = () => look().catch(onFault)
  void lookAndTell()
  const timer = setInterval(lookAndTell, lookMs)
  timer.unref()
  return () => clearInterval(timer)
}

async function signOf({ certFile, keyFile }: TlsFiles): Promise<string> {
  const found = await Promise.all(
    [certFile, keyFile].map((file) => stat(file).catch(() => undefined)),
  )
  return found.map((file) => `${file?.ino} ${file?.size} ${file?.mtimeMs}`).join(', ')
}

async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CertificateError(`Cannot read ${file}: ${cause.code}`, { cause })
  })
}
