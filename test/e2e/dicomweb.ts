import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type DicomFileOptions, dicomFile, uniqueUID } from '../support/dicom-file.ts'
import type { StowageServer } from '../support/server.ts'
import { readAnswer, type StowAnswer, stow } from '../support/stow.ts'

/** What the tests write where a patient's data go: none of it may be found in an answer or the log. (P10) */
export const canary = {
  patientName: 'Canaryname^Quebec',
  patientID: 'CANARY-ID-4711',
  accessionNumber: 'CANARYACC',
  studyDescription: 'Canary description',
} as const

const heard: string[] = []

/** Keeps all that an answer said. */
function recorded<T extends StowAnswer>(answer: T): T {
  heard.push(JSON.stringify([...answer.headers]), JSON.stringify(answer.body))
  return answer
}

export async function call(url: string, init: RequestInit = {}): Promise<StowAnswer> {
  return recorded(await readAnswer(await fetch(url, init)))
}

/** Looks for the canary in all answers of this test file, and in what else was said: logs, names of files. */
export function expectNoPatientData(...said: string[]): void {
  const everything = [...heard, ...said].join('\n')
  expect(heard.length).toBeGreaterThan(10)
  // Only what was found is shown, not all that was said.
  expect(everything.match(/.{0,200}canary.{0,60}/gi)).toBeNull()
}

/** Posts to one server, and keeps what it answers. */
export class Sender {
  /** `http://.../dicom-web/studies` */
  readonly studies: string

  constructor(server: StowageServer) {
    this.studies = `${server.dicomWeb}/studies`
  }

  newStudy(): TestStudy {
    return new TestStudy(this.studies)
  }

  /** Files as one multipart request. */
  async send(
    files: Uint8Array[],
    headers: Record<string, string> = {},
    url = this.studies,
  ): Promise<StowAnswer> {
    return recorded(await stow(url, files, headers))
  }

  /** A body as it is, with a Content-Type as it is. */
  async post(
    contentType: string | undefined,
    body: Uint8Array,
    headers: Record<string, string> = {},
    url = this.studies,
  ): Promise<StowAnswer> {
    const type = contentType === undefined ? {} : { 'content-type': contentType }
    return call(url, {
      method: 'POST',
      headers: { ...type, ...headers },
      body: new Uint8Array(body),
    })
  }
}

/** One study with one series, whose instances a test makes one by one. */
export class TestStudy {
  readonly uid = uniqueUID()
  readonly series = uniqueUID()
  readonly #studies: string

  constructor(studies: string) {
    this.#studies = studies
  }

  /** An instance of it, changed by the options, with its UID. */
  instance(options: DicomFileOptions = {}): { uid: string; file: Buffer } {
    const uid = options.sopInstanceUID ?? uniqueUID()
    return {
      uid,
      file: dicomFile({
        ...canary,
        studyInstanceUID: this.uid,
        seriesInstanceUID: this.series,
        sopInstanceUID: uid,
        ...options,
      }),
    }
  }

  get url(): string {
    return `${this.#studies}/${this.uid}`
  }

  urlOf(uid: string): string {
    return `${this.url}/series/${this.series}/instances/${uid}`
  }
}

export function expectProblem(answer: StowAnswer, status: number): void {
  expect(answer.status).toBe(status)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(answer.body).toMatchObject({ type: 'about:blank', status, detail: expect.any(String) })
}

/** The SOP Instance UIDs that QIDO finds in a study, sorted. */
export async function storedIn(server: StowageServer, study: string): Promise<string[]> {
  const answer = await fetch(`${server.dicomWeb}/studies/${study}/instances`)
  if (answer.status === 204) return []
  const results = (await answer.json()) as { '00080018': { Value: [string] } }[]
  return results.map((result) => result['00080018'].Value[0]).sort()
}

/** The segments of a server, by name. */
export function segmentsOf(server: StowageServer): string[] {
  return readdirSync(join(server.dataDir, 'segments'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort()
}

/**
 * What a server leaves behind where people look: its log, that of its embedded Postgres, names of files, and what it
 * tells of its transfers.
 */
export async function leftBehindBy(server: StowageServer): Promise<string[]> {
  const files = readdirSync(server.dataDir, { recursive: true, withFileTypes: true })
  const logs = files
    .filter((entry) => entry.isFile() && entry.name.endsWith('.log'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
  const list = await readAnswer(await fetch(`${server.url}/api/transfers?limit=1000`))
  const told: string[] = [JSON.stringify(list.body)]
  for (const { transferID } of list.body.transfers) {
    told.push(await (await fetch(`${server.url}/api/transfers/${transferID}`)).text())
  }
  return [server.log, ...logs, ...files.map((entry) => entry.name), ...told]
}

export type Element = { vr: string; Value?: unknown[] }
export type Dataset = Record<string, Element>

export const ctImageStorage = '1.2.840.10008.5.1.4.1.1.2'

/** The Store Instances Response Module (PS3.18 Table I.1-1), written out. */
export function storeModule(what: {
  retrieveURL?: string
  failed?: { sopInstanceUID: string; sopClassUID?: string; reason: number }[]
  stored?: { sopInstanceUID: string; sopClassUID?: string; url: string; warning?: number }[]
  others?: number[]
}): Dataset {
  const module: Dataset = {
    '00081190': what.retrieveURL ? { vr: 'UR', Value: [what.retrieveURL] } : { vr: 'UR' },
  }
  if (what.failed !== undefined) {
    module['00081198'] = {
      vr: 'SQ',
      Value: what.failed.map(({ sopInstanceUID, sopClassUID = ctImageStorage, reason }) => ({
        '00081150': { vr: 'UI', Value: [sopClassUID] },
        '00081155': { vr: 'UI', Value: [sopInstanceUID] },
        '00081197': { vr: 'US', Value: [reason] },
      })),
    }
  }
  if (what.stored !== undefined) {
    module['00081199'] = {
      vr: 'SQ',
      Value: what.stored.map(({ sopInstanceUID, sopClassUID = ctImageStorage, url, warning }) => ({
        '00081150': { vr: 'UI', Value: [sopClassUID] },
        '00081155': { vr: 'UI', Value: [sopInstanceUID] },
        '00081190': { vr: 'UR', Value: [url] },
        ...(warning === undefined ? {} : { '00081196': { vr: 'US', Value: [warning] } }),
      })),
    }
  }
  if (what.others !== undefined) {
    module['0008119A'] = {
      vr: 'SQ',
      Value: what.others.map((reason) => ({ '00081197': { vr: 'US', Value: [reason] } })),
    }
  }
  return module
}

/**
 * Reads a Native DICOM Model document (PS3.19 A.1) into the DICOM JSON model, as far as a response module
 * needs it. Throws at anything that it does not know, so that a stray byte fails the test.
 */
export function readNativeModel(xml: string): Dataset {
  const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
  const root =
    '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">'
  const end = '</NativeDicomModel>'
  const text = xml.trimEnd()
  if (!text.startsWith(declaration + root) || !text.endsWith(end)) {
    throw new SyntaxError('no NativeDicomModel')
  }
  const cursor = { text: text.slice(0, -end.length), at: declaration.length + root.length }
  const dataset = readAttributes(cursor)
  if (cursor.at !== cursor.text.length) throw new SyntaxError(`stray content at ${cursor.at}`)
  return dataset
}

type Cursor = { text: string; at: number }

function take(cursor: Cursor, pattern: RegExp): RegExpExecArray | undefined {
  const sticky = new RegExp(pattern.source, 'y')
  sticky.lastIndex = cursor.at
  const found = sticky.exec(cursor.text)
  if (found === null) return undefined
  cursor.at = sticky.lastIndex
  return found
}

function readAttributes(cursor: Cursor): Dataset {
  const dataset: Dataset = {}
  for (;;) {
    const start = take(
      cursor,
      /<DicomAttribute tag="([0-9A-F]{8})" vr="([A-Z]{2})" keyword="(\w+)"(\/?)>/,
    )
    if (start === undefined) return dataset
    const [, tag, vr, , isEmpty] = start as unknown as [string, string, string, string, string]
    const values: unknown[] = []
    if (isEmpty === '') {
      while (take(cursor, /<\/DicomAttribute>/) === undefined) {
        const number = take(cursor, /<(?:Item|Value) number="(\d+)">/)
        if (Number(number?.[1]) !== values.length + 1) throw new SyntaxError(`at ${cursor.at}`)
        if (vr === 'SQ') {
          values.push(readAttributes(cursor))
          if (!take(cursor, /<\/Item>/)) throw new SyntaxError(`at ${cursor.at}`)
        } else {
          const text = take(cursor, /([^<&]*)<\/Value>/)?.[1]
          if (text === undefined) throw new SyntaxError(`at ${cursor.at}`)
          values.push(vr === 'US' ? Number(text) : text)
        }
      }
    }
    dataset[tag] = values.length === 0 ? { vr } : { vr, Value: values }
  }
}

/** A bare connection on which a test decides what is said when. */
export class Conversation implements Disposable {
  heard = ''
  readonly #socket
  #wake: () => void = () => {}
  #isOver = false

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (piece) => {
      this.heard += piece
      this.#wake()
    })
    for (const event of ['close', 'error'] as const) {
      this.#socket.on(event, () => {
        this.#isOver = true
        this.#wake()
      })
    }
  }

  say(bytes: string | Uint8Array): void {
    this.#socket.write(bytes)
  }

  /** Waits until what was heard matches. */
  async hear(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.heard)) {
      if (this.#isOver) throw new Error(`The connection closed; heard: ${this.heard}`)
      await new Promise<void>((woken) => {
        this.#wake = woken
      })
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
