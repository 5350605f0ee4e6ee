import { SaxesParser } from 'saxes'
import { tagName } from './bytes.ts'
import {
  type ModelAttribute,
  type ModelDataSet,
  type ModelValue,
  PersonName,
} from './data-set-model.ts'
import { MetadataError } from './errors.ts'
import { MetadataSyntaxError } from './json-text.ts'
import { decodeBase64, knownVR } from './model-checks.ts'
import type { ModelReading } from './model-from-json.ts'

/** Elements inside each other; a sequence has two for each level. */
const maximumDepth = 256
/** Values of one attribute, and empty ones of all of them: as many as a file may have elements. */
const maximumNumber = 500_000

/**
 * Reads a Native DICOM Model document, the metadata of one instance. Texts stay as they are: what they mean is for
 * whoever writes them by their VR.
 *
 * The `error` is a {@link MetadataError}: an unknown element or VR, a tag or number that is none, two ways to tell one
 * value → refusal 0xC000
 *
 * @throws {MetadataSyntaxError} not well-formed, with a document type, or of another root element → 400 for the whole request
 * @see PS3.19 A.1; JS-22, JS-28, ST-M4
 */
export function readInstanceXml(text: string): ModelReading {
  const builder = new ModelBuilder()
  const parser = new SaxesParser<{ xmlns: false }>({ xmlns: false })
  const fail = (reason: string): never => {
    throw new MetadataSyntaxError(
      `Cannot read metadata: ${reason} at line ${parser.line}, column ${parser.column}`,
    )
  }
  // What it says may quote the document, and with it a patient.
  parser.on('error', () => fail('no well-formed XML'))
  // PS3.19 has none, and entities of one could grow without end.
  parser.on('doctype', () => fail('a document type'))
  parser.on('opentag', ({ name, attributes }) => {
    if (!builder.open(localName(name), attributes))
      fail('elements nested too deep, or another root')
  })
  parser.on('closetag', () => builder.close())
  parser.on('text', (piece) => builder.text(piece))
  parser.on('cdata', (piece) => builder.text(piece))
  parser.write(text).close()
  return builder.reading
}

/** Prefixes are taken: which namespace they stand for is not looked at, since some writers leave it out. */
function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1)
}

type OpenAttribute = ModelAttribute & { values: ModelValue[] }

/** An element that is open. What it holds comes together in it, and goes to the one around it when it closes. */
interface OpenElement {
  name: string
  number: number
  text: string
  attribute?: OpenAttribute
  /** Of an item or the document. */
  dataSet?: ModelDataSet
  /** Of a name, by group; of a group, by component. */
  parts?: string[]
}

const groups = ['Alphabetic', 'Ideographic', 'Phonetic']
const components = ['FamilyName', 'GivenName', 'MiddleName', 'NamePrefix', 'NameSuffix']
const nameOfRoot = 'NativeDicomModel'

/** Which elements may stand in which (PS3.19 A.1.6). */
const children = new Map<string, readonly string[]>([
  [nameOfRoot, ['DicomAttribute']],
  ['Item', ['DicomAttribute']],
  ['DicomAttribute', ['Value', 'Item', 'PersonName', 'BulkData', 'InlineBinary']],
  ['PersonName', groups],
  ...groups.map((group): [string, string[]] => [group, components]),
])
/** Those whose text counts. */
const textual = new Set(['Value', 'InlineBinary', ...components])

class ModelBuilder {
  readonly reading: ModelReading = { dataSet: [], error: undefined }
  readonly #open: OpenElement[] = []
  #tag = 0
  /** Values that only numbers tell of: a few bytes could stand for any amount of them. */
  #emptyCount = 0

  /** @returns false when it cannot be the document that it should be. */
  open(name: string, attributes: Record<string, string>): boolean {
    const outer = this.#open.at(-1)
    const element: OpenElement = { name, number: 0, text: '' }
    if (outer === undefined) {
      if (name !== nameOfRoot) return false
      element.dataSet = this.reading.dataSet
    } else {
      const value = (key: string) => attributes[key]
      this.#guard(() => this.#begin(element, outer, value))
    }
    this.#open.push(element)
    return this.#open.length <= maximumDepth
  }

  text(piece: string): void {
    const element = this.#open.at(-1)
    if (element === undefined) return
    if (textual.has(element.name)) element.text += piece
    else if (piece.trim() !== '') this.#fail('has text where none can be')
  }

  close(): void {
    const element = this.#open.pop() as OpenElement
    const outer = this.#open.at(-1)
    if (outer !== undefined) this.#guard(() => this.#end(element, outer))
  }

  #begin(element: OpenElement, outer: OpenElement, value: (key: string) => string | undefined) {
    const { name } = element
    if (!(children.get(outer.name) ?? []).includes(name)) {
      throw this.#wrong('has an element where none of its name can be')
    }
    if (name === 'DicomAttribute') element.attribute = this.#attribute(value)
    if (name === 'Item') element.dataSet = []
    if (name === 'PersonName' || groups.includes(name)) element.parts = []
    if (name === 'Value' || name === 'Item' || name === 'PersonName') {
      const number = value('number') ?? ''
      if (
        !/^[0-9]{1,6}$/.test(number) ||
        !(Number(number) >= 1 && Number(number) <= maximumNumber)
      ) {
        throw this.#wrong('has a value without a number')
      }
      element.number = Number(number)
    }
    if (name === 'BulkData' && outer.attribute !== undefined) {
      const uri = value('uri')
      if (uri === undefined) throw this.#wrong('has bulk data without a uri')
      outer.attribute.bulkDataURI = uri
    }
  }

  #attribute(value: (key: string) => string | undefined): OpenAttribute {
    const tag = value('tag') ?? ''
    if (!/^[0-9A-Fa-f]{8}$/.test(tag)) {
      throw new MetadataError('a tag of the metadata is not eight hexadecimal digits')
    }
    this.#tag = Number.parseInt(tag, 16)
    const privateCreator = value('privateCreator')
    return {
      tag: this.#tag,
      vr: knownVR(this.#tag, value('vr')),
      values: [],
      ...(privateCreator ? { privateCreator } : {}),
    }
  }

  #end(element: OpenElement, outer: OpenElement): void {
    const { name, attribute, text } = element
    const index = element.number - 1
    if (attribute !== undefined) {
      this.#tag = attribute.tag
      outer.dataSet?.push(checked(attribute))
      return
    }
    const target = outer.attribute
    if (name === 'InlineBinary' && target !== undefined) {
      target.binary = decodeBase64(target.tag, text.replace(/\s+/g, ''))
    } else if (name === 'Value') this.#put(target, index, text)
    else if (name === 'Item') this.#put(target, index, element.dataSet ?? [])
    else if (name === 'PersonName') {
      const [alphabetic = '', ideographic = '', phonetic = ''] = element.parts ?? []
      this.#put(target, index, new PersonName(alphabetic, ideographic, phonetic))
    } else if (components.includes(name) && outer.parts !== undefined) {
      outer.parts[components.indexOf(name)] = text
    } else if (groups.includes(name) && outer.parts !== undefined) {
      const parts = Array.from(element.parts ?? [], (part) => part ?? '')
      outer.parts[groups.indexOf(name)] = parts.join('^')
    }
  }

  /** Numbers say the order, and leave out what is empty. */
  #put(target: OpenAttribute | undefined, index: number, value: ModelValue) {
    if (target === undefined || index < 0) return
    if (target.values[index] != null) throw this.#wrong('has two values of one number')
    this.#emptyCount += Math.max(0, index - target.values.length)
    if (this.#emptyCount > maximumNumber) throw this.#wrong('leaves out too many values')
    while (target.values.length < index) target.values.push(null)
    target.values[index] = value
  }

  /** The first thing that is wrong is told; the rest is read on, to know whose metadata these are. */
  #guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      if (!(error instanceof MetadataError)) throw error
      this.reading.error ??= error
    }
  }

  #fail(reason: string): void {
    this.reading.error ??= this.#wrong(reason)
  }

  #wrong(reason: string): MetadataError {
    return new MetadataError(`element ${tagName(this.#tag)} ${reason}`)
  }
}

function checked(attribute: ModelAttribute): ModelAttribute {
  const { tag, vr, values, binary, bulkDataURI } = attribute
  const ways = [values.length > 0, binary !== undefined, bulkDataURI !== undefined]
  if (ways.filter(Boolean).length > 1) {
    throw new MetadataError(
      `element ${tagName(tag)} has more than one of Value, InlineBinary and BulkData`,
    )
  }
  const isName = (value: unknown) => value instanceof PersonName
  const isItem = (value: unknown) => Array.isArray(value)
  const fits = values.every((value) =>
    value === null ? true : isItem(value) === (vr === 'SQ') && isName(value) === (vr === 'PN'),
  )
  if (!fits) throw new MetadataError(`element ${tagName(tag)} has a value that its VR cannot have`)
  return vr === 'SQ' ? { ...attribute, values: values.map((value) => value ?? []) } : attribute
}
