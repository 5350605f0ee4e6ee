import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** Whether certificates can be made here. */
export const hasOpenSSL = spawnSync('openssl', ['version']).status === 0

/**
 * Makes `<name>-cert.pem`, its own authority, and `<name>-key.pem` in a folder.
 *
 * @param subjects Whom it stands for, like `DNS:localhost`.
 */
export async function makeCertificate(
  folder: string,
  name: string,
  subjects: string,
): Promise<{ certFile: string; keyFile: string }> {
  const certFile = join(folder, `${name}-cert.pem`)
  const keyFile = join(folder, `${name}-key.pem`)
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${subjects}`]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const files = ['-keyout', keyFile, '-out', certFile]
  await promisify(execFile)('openssl', ['req', '-x509', ...kind, ...subject, ...files])
  return { certFile, keyFile }
}
