import { DicomError } from '../../server/dicom/errors.ts'
import { type Identity, type Instance, InstanceReader } from '../../server/dicom/instance-reader.ts'
import type { InstanceLimits } from '../../server/dicom/limits.ts'
import { type DicomElement, type DicomFileOptions, dicomFile } from './dicom-file.ts'

export interface DicomJsonElement {
  vr: string
  Value?: unknown[]
  InlineBinary?: string
  BulkDataURI?: string
}

export type DicomJson = Record<string, DicomJsonElement>

/** Reads a whole file in chunks of `chunkBytes`. */
export function readInstance(
  file: Uint8Array,
  chunkBytes = 65_536,
  limits: Partial<InstanceLimits> = {},
): Instance {
  const reader = new InstanceReader(limits)
  for (let at = 0; at < file.length; at += chunkBytes) {
    reader.push(file.subarray(at, at + chunkBytes))
  }
  return reader.end()
}

/** The JSON model as text. */
export function metadataText(instance: Instance): string {
  return Buffer.from(instance.metadata).toString()
}

/** The JSON model as an object. */
export function metadataOf(instance: Instance): DicomJson {
  return JSON.parse(metadataText(instance))
}

/** The JSON of one more element of the root of a file that `options` make. */
export function jsonOf(
  element: DicomElement,
  options: DicomFileOptions = {},
): DicomJsonElement | undefined {
  const elements = [...(options.elements ?? []), element]
  return metadataOf(readInstance(dicomFile({ ...options, elements })))[element.tag]
}

export interface Refusal {
  name: string
  failureReason: number
  message: string
  identity: Identity
}

/** What the reader says against a file, or undefined when it takes it. Any other error is thrown on. */
export function refusalOf(
  file: Uint8Array,
  limits: Partial<InstanceLimits> = {},
): Refusal | undefined {
  const reader = new InstanceReader(limits)
  try {
    for (let at = 0; at < file.length; at += 65_536) reader.push(file.subarray(at, at + 65_536))
    reader.end()
    return undefined
  } catch (error) {
    if (!(error instanceof DicomError)) throw error
    const { name, failureReason, message } = error
    return { name, failureReason, message, identity: reader.identity }
  }
}
