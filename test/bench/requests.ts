import type { Instance } from './sets.ts'

/** A STOW-RS request, made before the clock starts. */
export interface PreparedRequest {
  sopInstanceUIDs: string[]
  /** The body. Each group is one write, of 256 KB or so; a group's pieces stay apart to spare copies. */
  groups: Buffer[][]
  byteLength: number
}

const boundary = 'stowage-bench-4f1c7a52d0'

export const contentType = `multipart/related; type="application/dicom"; boundary=${boundary}`

/** Cuts a set into requests of so many instances; the last may be smaller. */
export function prepareRequests(
  instances: Instance[],
  perRequest: number | 'whole',
): PreparedRequest[] {
  const count = perRequest === 'whole' ? instances.length : perRequest
  const requests: PreparedRequest[] = []
  for (let at = 0; at < instances.length; at += count) {
    requests.push(prepare(instances.slice(at, at + count)))
  }
  return requests
}

function prepare(instances: Instance[]): PreparedRequest {
  const pieces: Buffer[] = []
  for (const [index, instance] of instances.entries()) {
    const lead = index === 0 ? '' : '\r\n'
    pieces.push(Buffer.from(`${lead}--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`))
    pieces.push(...instance.pieces)
  }
  pieces.push(Buffer.from(`\r\n--${boundary}--\r\n`))
  return {
    sopInstanceUIDs: instances.map((instance) => instance.sopInstanceUID),
    groups: group(joinSmall(pieces)),
    byteLength: pieces.reduce((sum, piece) => sum + piece.length, 0),
  }
}

const smallBytes = 64 * 1024
const groupBytes = 256 * 1024

/** Copies neighbours that are small into one buffer: many small writes would cost the sender more than the server. */
function joinSmall(pieces: Buffer[]): Buffer[] {
  const joined: Buffer[] = []
  let open: Buffer[] = []
  let openBytes = 0
  const close = () => {
    if (open.length > 0) joined.push(open.length === 1 ? (open[0] as Buffer) : Buffer.concat(open))
    open = []
    openBytes = 0
  }
  for (const piece of pieces) {
    if (piece.length > smallBytes) {
      close()
      joined.push(piece)
      continue
    }
    open.push(piece)
    openBytes += piece.length
    if (openBytes >= groupBytes) close()
  }
  close()
  return joined
}

function group(pieces: Buffer[]): Buffer[][] {
  const groups: Buffer[][] = []
  let open: Buffer[] = []
  let openBytes = 0
  for (const piece of pieces) {
    open.push(piece)
    openBytes += piece.length
    if (openBytes < groupBytes) continue
    groups.push(open)
    open = []
    openBytes = 0
  }
  if (open.length > 0) groups.push(open)
  return groups
}
