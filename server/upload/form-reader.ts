import { Buffer } from 'node:buffer'
import type { Readable } from 'node:stream'
import busboy from 'busboy'
import { HttpProblem } from '../http/problem.ts'

/** One part of a form. */
export type FormPart = { kind: 'field'; name: string; value: string } | FormFile

export interface FormFile {
  kind: 'file'
  /** Empty where no file was chosen. */
  fileName: string
  /** To be read before the next part is asked for; what is not read by then is dropped. */
  bytes: AsyncIterable<Uint8Array>
  /** Lets the form go on without the rest of this file. */
  drop(): void
}

export interface FormLimits {
  /** Number of files. */
  parts: number
}

const fieldsAtMost = 20
const fieldBytes = 1000
const headerFieldsAtMost = 50
/** Bytes of a file that may wait to be read, beside the chunk of the body that they came in. */
const waitingBytes = 256 * 1024

/**
 * Reads a `multipart/form-data` body, one part after another, in their order.
 *
 * The body is read only as fast as the parts are: the next chunk is asked for when the last one was
 * taken, so memory holds two chunks and 256 KiB, whatever the size of the form.
 *
 * @throws {HttpProblem} 415 no form; 400 it cannot be read, or ends early; 413 too many parts; and what
 *   the body throws.
 */
export async function* readForm(
  body: AsyncIterable<Uint8Array>,
  contentType: string | null,
  limits: FormLimits,
): AsyncGenerator<FormPart, void, void> {
  const parser = openParser(contentType, limits)
  const arrived: FormPart[] = []
  let isDone = false
  let failure: Error | undefined
  let wake = () => {}

  function fail(error: Error): void {
    failure ??= error
    parser.destroy(error)
    wake()
  }
  function arrive(part: FormPart): void {
    arrived.push(part)
    wake()
  }
  parser.on('error', (cause: Error) => fail(unreadable(cause)))
  parser.on('filesLimit', () => fail(tooMany('files', limits.parts)))
  parser.on('fieldsLimit', () => fail(tooMany('fields', fieldsAtMost)))
  parser.on('field', (name, value) => arrive({ kind: 'field', name, value }))
  parser.on('file', (_, bytes, { filename }) => {
    // It fails with the form, also while nobody reads it.
    bytes.on('error', () => {})
    const drop = () => void bytes.resume()
    arrive({ kind: 'file', fileName: filename ?? '', bytes: read(bytes), drop })
  })
  parser.on('finish', () => {
    isDone = true
    wake()
  })
  /** Throws what is wrong with the form, where the stream only says that it broke off. */
  async function* read(bytes: Readable): AsyncGenerator<Uint8Array> {
    try {
      yield* bytes
    } catch (error) {
      throw failure ?? unreadable(error as Error)
    }
  }
  pump(body, parser).catch(fail)

  try {
    for (;;) {
      if (failure !== undefined) throw failure
      const part = arrived.shift()
      if (part !== undefined) {
        yield part
        if (part.kind === 'file') part.drop()
      } else if (isDone) {
        return
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    // Ends the pump too, if somebody stopped reading before the end.
    parser.destroy()
  }
}

/** Feeds the parser. What is wrong with the form, the parser says; this throws only what the body does. */
async function pump(body: AsyncIterable<Uint8Array>, parser: busboy.Busboy): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    parser.once('close', resolve)
  })
  for await (const chunk of body) {
    const taken = new Promise<void>((resolve) => {
      parser.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength), () => resolve())
    })
    // Nobody takes anything from a parser that is closed.
    await Promise.race([taken, closed])
    if (parser.destroyed) return
  }
  parser.end()
}

function openParser(contentType: string | null, limits: FormLimits): busboy.Busboy {
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType?.trim() ?? '')) {
    throw new HttpProblem(415, 'Cannot read the upload: it is no multipart/form-data', {
      headers: { accept: 'multipart/form-data' },
    })
  }
  try {
    return busboy({
      headers: { 'content-type': contentType as string },
      defParamCharset: 'utf8',
      preservePath: true,
      fileHwm: waitingBytes,
      limits: {
        files: limits.parts,
        fields: fieldsAtMost,
        fieldSize: fieldBytes,
        headerPairs: headerFieldsAtMost,
      },
    })
  } catch (cause) {
    throw new HttpProblem(400, 'Cannot read the upload: its Content-Type has no boundary', {
      cause,
    })
  }
}

function unreadable(cause: Error): Error {
  if (cause instanceof HttpProblem) return cause
  return new HttpProblem(
    400,
    'Cannot read the upload: the form is broken or ends early. Nothing of it is stored; send it again',
    { cause },
  )
}

function tooMany(what: string, limit: number): HttpProblem {
  return new HttpProblem(413, `Cannot read the upload: it has more than ${limit} ${what}`, {
    members: { limit },
    headers: { connection: 'close' },
  })
}
