import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasOpenSSL, makeCertificate } from '../support/certificate.ts'
import { dicomFile } from '../support/dicom-file.ts'
import { runtime, type StowageServer, startServer, temporaryFolder } from '../support/server.ts'

describe.skipIf(!hasOpenSSL)('TLS (skipped without openssl)', () => {
  let folder: string
  let certFile: string
  let keyFile: string

  beforeAll(async () => {
    folder = await temporaryFolder()
    ;[certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    await makeCertificate(folder, 'first', 'IP:127.0.0.1')
    await makeCertificate(folder, 'second', 'IP:127.0.0.1')
    await use(folder, 'first')
  })

  afterAll(() => rm(folder, { recursive: true, force: true }))

  const startTls = () =>
    startServer({ env: { STOWAGE_TLS_CERT_FILE: certFile, STOWAGE_TLS_KEY_FILE: keyFile } })

  test('is all that the server speaks then; its URLs say so, and browsers are told to stay with it', async () => {
    await using server = await startTls()
    const ca = await readFile(certFile, 'utf8')
    const { answer, body } = await ask(server, ca, '/dicom-web/studies', dicomFile())
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['strict-transport-security']).toBe('max-age=31536000')
    const { '00081199': stored } = JSON.parse(body)
    const [url] = stored.Value[0]['00081190'].Value
    expect(url).toMatch(`${server.url}/dicom-web/studies/`)
    const path = url.slice(server.url.length)
    expect((await ask(server, ca, `${path}/metadata`)).answer.statusCode).toBe(200)
    const plain = await sayPlainly(server.port, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect(plain).not.toContain('200 OK')
    await expect(greet(server.port, 'TLSv1.1')).rejects.toThrow()
    expect(await greet(server.port, 'TLSv1.2')).toBe('first')
  })

  test('answers who may not send before his body, as without it', async () => {
    await using server = await startTls()
    await server.run('token', 'create', '--name', 'x', '--role', 'admin')
    const ca = await readFile(certFile, 'utf8')
    await server.until(async () => (await ask(server, ca, '/transfers')).answer.statusCode === 401)
    const head = `POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n`
    const said = await new Promise<string>((resolve, reject) => {
      const socket = connect({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false })
      socket.once('error', reject).once('data', (data) => {
        socket.destroy()
        resolve(String(data))
      })
      socket.write(head)
    })
    expect(said).toMatch(/^HTTP\/1\.1 401 /)
  })

  // Bun's server has no setSecureContext; there it takes a restart, and the log says so.
  test.skipIf(runtime === 'bun')(
    'goes over to a certificate that was changed; one that cannot be used is told, and the last good one goes on',
    async () => {
      await using server = await startTls()
      expect(await greet(server.port)).toBe('first')
      try {
        await use(folder, 'second')
        await server.until(async () => (await greet(server.port)) === 'second')
        await writeFile(certFile, 'not a certificate')
        await server.until(async () => server.log.includes('Cannot use the certificate'))
        expect(await greet(server.port)).toBe('second')
      } finally {
        await use(folder, 'first')
      }
      await server.until(async () => (await greet(server.port)) === 'first')
    },
  )

  test('does not start with the key of another certificate, and says which files they are', async () => {
    const env = {
      STOWAGE_TLS_CERT_FILE: certFile,
      STOWAGE_TLS_KEY_FILE: join(folder, 'second-key.pem'),
    }
    await expect(startServer({ env })).rejects.toThrow(
      `Cannot use the certificate ${certFile} with the key ${env.STOWAGE_TLS_KEY_FILE}`,
    )
  })
})

/** Puts a certificate where the server looks. */
async function use(folder: string, name: string): Promise<void> {
  for (const part of ['key', 'cert']) {
    await copyFile(join(folder, `${name}-${part}.pem`), join(folder, `${part}.pem`))
  }
}

/** Over a new connection. */
function ask(
  server: StowageServer,
  ca: string,
  path: string,
  file?: Uint8Array,
): Promise<{ answer: IncomingMessage; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(`${server.url}${path}`, {
      ca,
      agent: false,
      method: file === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/dicom+json',
        ...(file === undefined ? {} : { 'content-type': 'application/dicom' }),
      },
    })
    asked.on('error', reject).on('response', async (answer) => {
      let body = ''
      for await (const chunk of answer) body += chunk
      resolve({ answer, body })
    })
    asked.end(file)
  })
}

/** Whose certificate the server shows. @throws {Error} There is no connection with this version. */
function greet(port: number, version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') {
  return new Promise<string | undefined>((resolve, reject) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
      // Else this side would not offer what is old.
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    socket.on('error', reject).on('secureConnect', () => {
      const { CN } = socket.getPeerCertificate().subject
      resolve(typeof CN === 'string' ? CN : CN?.[0])
      socket.destroy()
    })
  })
}

/** What the server answers to plain HTTP, until it hangs up. */
function sayPlainly(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let said = ''
    const socket = connectPlain(port, '127.0.0.1')
    socket.on('data', (data) => {
      said += data
    })
    socket.on('error', () => {}).on('close', () => resolve(said))
    socket.write(text)
  })
}
