import type { Handling } from '../../db/transfers.ts'
import { type BodyLimits, checkBody, readBody } from '../http/body.ts'
import { HttpProblem } from '../http/problem.ts'
import { endEarly } from '../intake/end-early.ts'
import type { Intake } from '../intake/intake.ts'
import type { Transfer } from '../intake/transfer.ts'
import type { Span } from '../trace.ts'
import { readForm } from './form-reader.ts'
import type { ReceivedForm } from './report.ts'

export interface ReceiveDeps {
  intake: Intake
  limits: BodyLimits & {
    /** Number of files of one upload. */
    parts: number
  }
  /** What holds for a form that does not say. */
  handling: Handling
}

const fileNameCharacters = 200

/** What systems and media put beside instances. (PS3.10 8: DICOMDIR) */
const skippedNames = new Set(['dicomdir', '.ds_store', 'thumbs.db', 'desktop.ini'])

export interface FormSender {
  sender: string | undefined
  sentBy: string | undefined
  span: Span
  opened(transferID: string): void
}

/**
 * Receives a form of files as one transfer, and leaves it open, to be committed.
 *
 * The transfer is opened when the first file comes, so a form without one leaves no trace. Memory is
 * bounded as for STOW-RS; of each file its name is kept, for the answer alone.
 *
 * @throws {HttpProblem} 400 no file, or the form is broken; 408, 413, 415; what the intake throws. The
 *   transfer has been ended then.
 */
export async function receiveForm(
  request: Request,
  { sender, sentBy, span, opened }: FormSender,
  { intake, limits, handling: byDefault }: ReceiveDeps,
): Promise<ReceivedForm> {
  const { headers } = request
  const announcedBytes = checkBody(headers, limits)
  let handling = byDefault
  let transfer: Transfer | undefined
  let receivedBytes = 0
  let skippedCount = 0
  const fileNames: string[] = []
  const body = readBody(request, limits, (bytes) => {
    receivedBytes += bytes
    if (transfer !== undefined) transfer.receivedBytes = receivedBytes
  })
  try {
    for await (const part of readForm(body, headers.get('content-type'), limits)) {
      if (part.kind === 'field') {
        if (part.name === 'handling') handling = handlingOf(part.value, transfer)
      } else if (isSkipped(part.fileName)) {
        skippedCount++
      } else {
        const chunks = part.bytes[Symbol.asyncIterator]()
        const first = await chunks.next()
        // An input in which nobody chose a file is sent all the same, without name and bytes.
        if (first.done && part.fileName === '') continue
        transfer ??= await intake.open(
          {
            service: 'upload',
            handling,
            announcedBytes,
            sender,
            sentBy,
            senderProduct: headers.get('user-agent')?.slice(0, 200),
          },
          span,
        )
        opened(transfer.transferID)
        transfer.receivedBytes = receivedBytes
        fileNames.push(part.fileName.slice(-fileNameCharacters))
        await receiveFile(transfer, first, chunks)
      }
    }
    if (transfer === undefined) throw withoutFile(skippedCount)
    return { transfer, fileNames, skippedCount }
  } catch (error) {
    if (transfer !== undefined) await endEarly(transfer, error)
    throw error
  }
}

async function receiveFile(
  transfer: Transfer,
  first: IteratorResult<Uint8Array>,
  rest: AsyncIterator<Uint8Array>,
): Promise<void> {
  transfer.beginPart()
  for (let next = first; !next.done; next = await rest.next()) {
    transfer.push(next.value)
    await transfer.drain()
  }
  transfer.endPart()
  await transfer.drain()
}

function handlingOf(value: string, transfer: Transfer | undefined): Handling {
  if (value !== 'strict' && value !== 'lenient') {
    throw new HttpProblem(400, 'Cannot read the upload: "handling" is neither strict nor lenient')
  }
  if (transfer === undefined || transfer.handling === value) return value
  throw new HttpProblem(400, 'Cannot read the upload: "handling" must come before the first file')
}

function isSkipped(fileName: string): boolean {
  const name = fileName.split(/[/\\]/).at(-1) as string
  // "._name" holds what macOS knows of a file "name" on a medium of another system.
  return skippedNames.has(name.toLowerCase()) || name.startsWith('._')
}

function withoutFile(skippedCount: number): HttpProblem {
  return new HttpProblem(
    400,
    skippedCount === 0
      ? 'There is no file in this upload: choose at least one'
      : 'There is no instance in this upload: by their names, all of its files are others',
    { members: { field: 'files' } },
  )
}
