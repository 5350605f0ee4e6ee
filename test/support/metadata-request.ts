import { Buffer } from 'node:buffer'
import type { DicomJson } from './dicom-reading.ts'

/** One part of a request with metadata and bulk data. */
export interface RequestPart {
  contentType?: string
  location?: string
  headers?: Record<string, string>
  body: Uint8Array | string
}

export const boundary = 'stowage-metadata-boundary'
export const jsonRequest = `multipart/related; type="application/dicom+json"; boundary=${boundary}`
export const xmlRequest = `multipart/related; type="application/dicom+xml"; boundary=${boundary}`

export function jsonPart(...instances: DicomJson[]): RequestPart {
  return { contentType: 'application/dicom+json', body: JSON.stringify(instances) }
}

export function bulkPart(
  location: string,
  body: Uint8Array,
  contentType = 'application/octet-stream',
): RequestPart {
  return { contentType, location, body }
}

/** The parts as a body, with the delimiters of `boundary`. */
export function bodyOf(parts: RequestPart[]): Buffer {
  const pieces: Uint8Array[] = []
  for (const { contentType, location, headers, body } of parts) {
    const lines = Object.entries({
      ...(contentType === undefined ? {} : { 'Content-Type': contentType }),
      ...(location === undefined ? {} : { 'Content-Location': location }),
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`)
    pieces.push(Buffer.from(`\r\n--${boundary}\r\n${lines.join('')}\r\n`), Buffer.from(body))
  }
  return Buffer.concat([...pieces, Buffer.from(`\r\n--${boundary}--\r\n`)])
}
