import type { StudyFile } from './find-studies.ts'

/** A file that the server did not take. Without a path: the server could not tell which one it was. */
export interface RefusedFile {
  path: string | undefined
  failureReason: number
}

/** What the Store Instances Response Module says about the files that were sent. */
export interface StoreResponse {
  stored: StudyFile[]
  /** Of these, those that were stored with a warning. */
  warnedCount: number
  refused: RefusedFile[]
  /** Files that the answer does not speak of: nobody can say whether they are stored. */
  unnamed: StudyFile[]
}

type Item = Record<string, { Value?: unknown[] } | undefined>

const tags = {
  warningReason: '00081196',
  failureReason: '00081197',
  failedSOPSequence: '00081198',
  referencedSOPSequence: '00081199',
  otherFailuresSequence: '0008119A',
  referencedSOPInstanceUID: '00081155',
} as const

/** A Failure Reason that an item should have and has not. */
const processingFailure = 0x0110

/**
 * Holds the answer against what was sent. (PS3.18 Table I.1-1)
 *
 * A file counts as stored only when its SOP Instance UID is in Referenced SOP Sequence; a status says
 * nothing about it. Of several files with one UID as many are refused as Failed SOP Sequence has items.
 *
 * @returns undefined when the body is no such module.
 */
export function readStoreResponse(body: Uint8Array, files: StudyFile[]): StoreResponse | undefined {
  const module = parseObject(body)
  if (module === undefined) return undefined
  const referenced = itemsOf(module, tags.referencedSOPSequence)
  const storedUIDs = new Set(referenced.map(uidOf))
  const warnedUIDs = new Set(
    referenced.filter((item) => item[tags.warningReason]?.Value?.length).map(uidOf),
  )
  const reasonsByUID = new Map<string, number[]>()
  const untied: number[] = []
  for (const item of itemsOf(module, tags.failedSOPSequence)) {
    const uid = uidOf(item)
    if (uid === undefined) untied.push(reasonOf(item))
    else append(reasonsByUID, uid, reasonOf(item))
  }
  untied.push(...itemsOf(module, tags.otherFailuresSequence).map(reasonOf))

  const response: StoreResponse = { stored: [], warnedCount: 0, refused: [], unnamed: [] }
  for (const file of files) {
    const uid = file.sopInstanceUID
    const failureReason = uid === undefined ? undefined : reasonsByUID.get(uid)?.shift()
    if (failureReason !== undefined) response.refused.push({ path: file.path, failureReason })
    else if (storedUIDs.has(uid)) {
      response.stored.push(file)
      if (warnedUIDs.has(uid)) response.warnedCount++
    } else response.unnamed.push(file)
  }
  // With one file left nobody else can be meant; with several it is some of them.
  const path = response.unnamed.length === 1 ? response.unnamed[0]?.path : undefined
  response.unnamed.splice(0, untied.length)
  response.refused.push(...untied.map((failureReason) => ({ path, failureReason })))
  return response
}

function parseObject(body: Uint8Array): Item | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body))
    // Some servers wrap the one object into an array.
    const module = Array.isArray(value) && value.length === 1 ? value[0] : value
    return typeof module === 'object' && module !== null && !Array.isArray(module)
      ? (module as Item)
      : undefined
  } catch {
    return undefined
  }
}

function itemsOf(module: Item, tag: string): Item[] {
  const values = module[tag]?.Value
  if (!Array.isArray(values)) return []
  return values.filter((one): one is Item => typeof one === 'object' && one !== null)
}

function uidOf(item: Item): string | undefined {
  const uid = item[tags.referencedSOPInstanceUID]?.Value?.[0]
  return typeof uid === 'string' ? uid : undefined
}

function reasonOf(item: Item): number {
  const reason = Number(item[tags.failureReason]?.Value?.[0] ?? Number.NaN)
  return Number.isInteger(reason) ? reason : processingFailure
}

function append(map: Map<string, number[]>, key: string, value: number): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
