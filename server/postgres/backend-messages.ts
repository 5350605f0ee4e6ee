import { Buffer } from 'node:buffer'

const readyForQuery = 0x5a
const errorResponse = 0x45
/** A letter, and the bytes that follow it, of which four are this number. */
const headBytes = 5

/** Names as postgres.js has them, by their letters (PostgreSQL, "Error and Notice Message Fields"). */
const fieldNames: Record<string, string> = {
  S: 'severity_local',
  V: 'severity',
  C: 'code',
  M: 'message',
  D: 'detail',
  H: 'hint',
  R: 'routine',
}

/** An error with which a connection ends, as it came and as it is read. */
export interface FatalError {
  bytes: Buffer
  fields: Record<string, string>
}

/**
 * Reads along with what one Postgres sends, message by message, however that is split, and finds the error with which it
 * ends a connection. Keeps no more than an error that has not come whole.
 */
export class BackendMessages {
  #isReady = false
  /** The beginning of a message that is to be handed on whole. */
  #held: Buffer | undefined
  /** Bytes to come of one that goes through. */
  #open = 0

  /** It has said that it waits for statements. */
  get isReady(): boolean {
    return this.#isReady
  }

  /**
   * @returns What may be handed on, which ends before a fatal error, and that. A head or an error that is not whole is
   *   handed on with the next chunk.
   */
  take(chunk: Buffer): { bytes: Buffer; fatal: FatalError | undefined } {
    const bytes = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = undefined
    let at = this.#open
    while (at < bytes.length) {
      const head = at + headBytes
      const end = head <= bytes.length ? at + 1 + bytes.readUInt32BE(at + 1) : undefined
      const isRead = bytes[at] === readyForQuery || bytes[at] === errorResponse
      if (end === undefined || (isRead && end > bytes.length)) {
        this.#held = bytes.subarray(at)
        this.#open = 0
        return { bytes: bytes.subarray(0, at), fatal: undefined }
      }
      if (bytes[at] === readyForQuery) this.#isReady = true
      if (bytes[at] === errorResponse) {
        const fields = readFields(bytes.subarray(head, end))
        if (isFatal(fields)) {
          return { bytes: bytes.subarray(0, at), fatal: { bytes: bytes.subarray(at, end), fields } }
        }
      }
      at = end
    }
    this.#open = at - bytes.length
    return { bytes, fatal: undefined }
  }
}

function readFields(body: Buffer): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const field of body.toString('utf8').split('\0')) {
    const name = fieldNames[field.charAt(0)]
    if (name !== undefined) fields[name] = field.slice(1)
  }
  return fields
}

/** Postgres says in no message but this that a connection is over. Poolers know one of the two fields. */
function isFatal({ severity, severity_local }: Record<string, string>): boolean {
  return /^(FATAL|PANIC)$/.test(severity ?? severity_local ?? '')
}
