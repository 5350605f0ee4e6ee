import { inflateRawSync } from 'node:zlib'
import { DataSetInflater } from '../../server/dicom/data-set-inflater.ts'
import { DataSetReader } from '../../server/dicom/data-set-reader.ts'
import { FileMetaReader } from '../../server/dicom/file-meta-reader.ts'
import { defaultLimits } from '../../server/dicom/limits.ts'
import { transferSyntaxes } from '../../server/dicom/transfer-syntaxes.ts'
import type { DicomJson, DicomJsonElement } from './dicom-reading.ts'

/** What the reader makes of a file whose identity may be wrong, as long as its structure is right. */
export interface Model {
  json: DicomJson
  /** The file, inflated if it was deflated, so that offsets fit. */
  file: Buffer
  bigEndian: boolean
}

/** Reads a file as the instance reader does, but leaves the identity unchecked. Throws what that throws. */
export function modelOf(file: Buffer): Model {
  const meta = new FileMetaReader(defaultLimits)
  const syntax = meta.push(file) ? transferSyntaxes.get(meta.transferSyntaxUID) : undefined
  if (syntax === undefined) throw new Error('no data set')
  const dataSet = new DataSetReader(syntax, meta.dataSetOffset, defaultLimits)
  const body = file.subarray(meta.dataSetOffset)
  if (syntax.deflated) new DataSetInflater(dataSet, defaultLimits).push(body)
  else dataSet.push(body)
  const json = JSON.parse(Buffer.from(dataSet.end()).toString())
  const head = file.subarray(0, meta.dataSetOffset)
  const whole = syntax.deflated ? Buffer.concat([head, inflateRawSync(body)]) : file
  return { json, file: whole, bigEndian: syntax.bigEndian }
}

/** Where the header of the root's Pixel Data begins, if there is one that became bulk data. */
export function pixelDataHeader({ json, file }: Model): number | undefined {
  const match = /\/(\d+)-\d+$/.exec(json['7FE00010']?.BulkDataURI ?? '')
  if (match === null) return undefined
  const offset = Number(match[1])
  const long =
    file.readUInt16LE(offset - 12) === 0x7fe0 || file.readUInt16BE(offset - 12) === 0x7fe0
  return offset - (long ? 12 : 8)
}

const wordBytes: Record<string, number> = { OW: 2, OF: 4, OL: 4, OD: 8, OV: 8 }

export interface Source {
  /** Of bulk data. */
  file?: Buffer
  /** Bulk data is big endian, as in its file. */
  bulkIsBigEndian?: boolean
  /** Inline bytes are big endian: pydicom gives them as in the file, against JS-09. */
  inlineIsBigEndian?: boolean
}

/**
 * Brings two DICOM JSON models to one form where the differences are ways of writing the same.
 *
 * - a BulkDataURI becomes the bytes it points to, in little endian (JS-09), which proves offset and length
 * - group lengths go (JS-20: pydicom shows them); Specific Character Set goes (JS-18: pydicom shows the file's)
 * - an empty string is null (JS-05: pydicom shows ""); all-empty and no values are one (JS-04)
 * - IS, DS, SV, UV become numbers (JS-14, JS-15); FL is compared as the float it was
 * - FD is rounded to 15 digits: dcmtk prints 17 of them, the last not always right
 * - trailing spaces and carets of a name go: dcmtk drops carets, which say nothing (PS3.5 6.2.1.1)
 */
export function normalised(json: DicomJson, source: Source): DicomJson {
  const result: DicomJson = {}
  for (const tag of Object.keys(json).sort()) {
    if (tag.endsWith('0000') || tag === '00080005') continue
    result[tag] = normalisedElement(json[tag] as DicomJsonElement, source)
  }
  return result
}

function normalisedElement(element: DicomJsonElement, source: Source): DicomJsonElement {
  const { vr, BulkDataURI, InlineBinary, Value } = element
  if (BulkDataURI !== undefined && source.file !== undefined) {
    const [offset = 0, length = 0] = (BulkDataURI.split('/').at(-1) ?? '').split('-').map(Number)
    const bytes = Buffer.from(source.file.subarray(offset, offset + length))
    return inline(vr, bytes, source.bulkIsBigEndian)
  }
  if (InlineBinary === '') return { vr }
  if (InlineBinary !== undefined) {
    return inline(vr, Buffer.from(InlineBinary, 'base64'), source.inlineIsBigEndian)
  }
  const values = (Value ?? []).map((value) => normalisedValue(vr, value, source))
  return values.every((value) => value === null) ? { vr } : { vr, Value: values }
}

function inline(vr: string, bytes: Buffer, isBigEndian = false): DicomJsonElement {
  const size = isBigEndian ? wordBytes[vr] : 1
  if (size === 2) bytes.swap16()
  else if (size === 4) bytes.swap32()
  else if (size === 8) bytes.swap64()
  return { vr, InlineBinary: bytes.toString('base64') }
}

function normalisedValue(vr: string, value: unknown, source: Source): unknown {
  if (vr === 'SQ') return normalised((value ?? {}) as DicomJson, source)
  if (value === null || value === '') return null
  if (vr === 'PN') return normalisedName(value as Record<string, string>)
  if (vr === 'FL') return Math.fround(Number(value))
  if (vr === 'FD') return Number(Number(value).toPrecision(15))
  if (['IS', 'DS', 'SV', 'UV'].includes(vr)) return Number(value)
  return typeof value === 'string' ? value.trimEnd() : value
}

function normalisedName(name: Record<string, string>): unknown {
  const groups = Object.entries(name)
    .map(([group, text]): [string, string] => [group, text.replace(/[ ^]+$/, '')])
    .filter(([, text]) => text !== '')
  return groups.length === 0 ? null : Object.fromEntries(groups)
}

/**
 * Compares two normalised models.
 *
 * Two differences are passed over, since ours says no more than the file does: a private element that is UN here and
 * has a VR from pydicom's private dictionary there; and an element whose tag PS3.6 knows, that is UN there
 * and was read as what it is here (JS-24).
 *
 * @returns The paths that differ.
 */
export function differences(ours: DicomJson, theirs: DicomJson, path = ''): string[] {
  const found: string[] = []
  for (const tag of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
    const a = ours[tag]
    const b = theirs[tag]
    const isPrivate = /^[0-9A-F]{3}[13579BDF]/.test(tag)
    if (a !== undefined && b !== undefined && a.vr !== b.vr) {
      if (isPrivate && a.vr === 'UN') continue
      if (!isPrivate && b.vr === 'UN') continue
    }
    if (a?.vr === 'SQ' && b?.vr === 'SQ' && a.Value?.length === b.Value?.length) {
      const items = (b.Value ?? []) as DicomJson[]
      for (const [index, item] of ((a.Value ?? []) as DicomJson[]).entries()) {
        found.push(...differences(item, items[index] ?? {}, `${path}${tag}.${index + 1}.`))
      }
    } else if (JSON.stringify(a) !== JSON.stringify(b)) found.push(path + tag)
  }
  return found
}
