import { request } from 'node:http'
import { connect } from 'node:net'

export const boundary = 'stowage-test-boundary'
export const multipartType = `multipart/related; type="application/dicom"; boundary=${boundary}`

/** The body of a STOW-RS request with these files, one a part. */
export function multipartBody(files: Uint8Array[]): Buffer {
  const pieces: Uint8Array[] = []
  for (const [index, file] of files.entries()) {
    const lead = index === 0 ? '' : '\r\n'
    pieces.push(
      Buffer.from(`${lead}--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`),
      file,
    )
  }
  pieces.push(Buffer.from(`\r\n--${boundary}--\r\n`))
  return Buffer.concat(pieces)
}

export interface StowAnswer {
  status: number
  headers: Headers
  /** Parsed JSON, or the text. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  body: any
}

/** Posts files as one STOW-RS request. @param studiesURL `http://…/dicom-web/studies[/{study}]` */
export async function stow(
  studiesURL: string,
  files: Uint8Array[],
  headers: Record<string, string> = {},
): Promise<StowAnswer> {
  const answer = await fetch(studiesURL, {
    method: 'POST',
    headers: { 'content-type': multipartType, accept: 'application/dicom+json', ...headers },
    body: new Uint8Array(multipartBody(files)),
  })
  return readAnswer(answer)
}

export async function readAnswer(answer: Response): Promise<StowAnswer> {
  const text = await answer.text()
  const isJSON = answer.headers.get('content-type')?.includes('json') ?? false
  return {
    status: answer.status,
    headers: answer.headers,
    body: isJSON ? JSON.parse(text) : text,
  }
}

/** Posts a body chunk by chunk, as the generator gives it; no length is sent. */
export async function postChunked(
  url: string,
  headers: Record<string, string>,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece) => {
        text += piece
      })
      answer.on('end', () => resolve({ status: answer.statusCode as number, text }))
    })
    sent.on('error', reject)
    void (async () => {
      for await (const chunk of chunks) {
        if (!sent.write(chunk)) await new Promise((drained) => sent.once('drain', drained))
      }
      sent.end()
    })().catch((error) => sent.destroy(error))
  })
}

/**
 * Sends bytes over a bare connection, then ends it in the way said, and returns whatever came back:
 * for requests that no HTTP client would send.
 *
 * - `wait`: keeps the connection open until the server closes it or has answered
 * - `fin`: ends the sending half, then waits
 * - `rst`: resets the connection at once
 */
export async function sendRaw(
  port: number,
  bytes: Uint8Array,
  end: 'wait' | 'fin' | 'rst',
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.setEncoding('latin1')
    socket.on('data', (piece) => {
      answer += piece
      if (end === 'wait' && /^HTTP\/1\.1 (?!100)\d/m.test(answer)) socket.end()
    })
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(answer) : reject(error),
    )
    socket.on('close', () => resolve(answer))
    socket.write(bytes, () => {
      if (end === 'fin') socket.end()
      if (end === 'rst') setTimeout(() => socket.resetAndDestroy(), 20)
    })
  })
}

/** The head of a request to store, for `sendRaw`. */
export function requestHead(path: string, headers: Record<string, string | number>): Buffer {
  const lines = Object.entries({ host: '127.0.0.1', 'content-type': multipartType, ...headers })
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
  )
}

/** Transfer-Encoding: chunked, in chunks of this many bytes. */
export function chunkEncoded(body: Uint8Array, chunkBytes = 4096, isComplete = true): Buffer {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < body.length; at += chunkBytes) {
    const chunk = body.subarray(at, at + chunkBytes)
    pieces.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'))
  }
  if (isComplete) pieces.push(Buffer.from('0\r\n\r\n'))
  return Buffer.concat(pieces)
}
