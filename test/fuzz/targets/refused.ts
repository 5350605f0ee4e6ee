import { Buffer } from 'node:buffer'
import { DicomError } from '../../../server/dicom/errors.ts'
import { MetadataSyntaxError } from '../../../server/dicom/json-text.ts'
import { HttpProblem } from '../../../server/http/problem.ts'
import { MediaTypeError } from '../../../server/multipart/media-type.ts'
import { MultipartError } from '../../../server/multipart/multipart-errors.ts'

const refusals = [DicomError, HttpProblem, MediaTypeError, MetadataSyntaxError, MultipartError]

/** @returns What a reader says; undefined where it refuses the input, as it may. Any other error goes on. */
export function unlessRefused<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    rethrowFault(error)
    return undefined
  }
}

export function rethrowFault(error: unknown): void {
  const isRefusal = refusals.some((kind) => error instanceof kind)
  if (!isRefusal) throw error
  // What is said to a stranger is a sentence, not the input again.
  const { message } = error as Error
  if (message.length > 1000) throw new Error(`A refusal of ${message.length} characters`)
}

/** Lines of a text: the first bytes choose, the rest is for the reader. */
export function linesOf(input: Buffer): string[] {
  return input.toString('utf8').split('\n')
}

/** Bytes as HTTP hands header values over: no line breaks, no NUL. */
export function headerValue(input: Buffer): string {
  return input.toString('latin1').replace(/[\0\r\n]/g, ' ')
}

export const text = (value: string) => Buffer.from(value)
