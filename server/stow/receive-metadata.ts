import { readBody } from '../http/body.ts'
import { DigestCheck } from '../http/digest.ts'
import type { Turn } from '../http/turn.ts'
import type { Transfer } from '../intake/transfer.ts'
import { MultipartReader } from '../multipart/multipart-reader.ts'
import { MetadataReceiver } from './metadata-receiver.ts'
import type { MetadataPayload } from './request.ts'
import type { StowDeps } from './routes.ts'
import { storeMetadata } from './store-metadata.ts'

/**
 * Reads the body of a request with metadata and bulk data, and hands the instances that it tells of to a transfer.
 *
 * Bulk data may come before it is known which instance they belong to, in any order, and need their length before the
 * first byte of their element. So all of the body waits in a spool of the transfer, and the files are made when the
 * body is over. (PS3.18 10.5.1.4; ST-M3 to ST-M5)
 *
 * @param url Of the request.
 */
export async function receiveMetadata(
  request: Request,
  url: string,
  payload: MetadataPayload,
  transfer: Transfer,
  limits: StowDeps['limits'],
  turn: Turn,
): Promise<void> {
  const spool = transfer.openSpool()
  const receiver = new MetadataReceiver(payload, url, spool, limits)
  const body = readBody(request, limits, (bytes) => {
    transfer.receivedBytes += bytes
  })
  if (payload.boundary === undefined) {
    receiver.beginMetadata()
    for await (const chunk of body) {
      receiver.push(chunk)
      await spool.drain()
    }
    receiver.endPart()
  } else {
    let partNumber = 0
    let digest: DigestCheck | undefined
    const reader = new MultipartReader(
      payload.boundary,
      {
        partBegin(headers) {
          partNumber++
          digest = new DigestCheck(
            'Content-Digest',
            headers.get('content-digest'),
            `part ${partNumber}`,
          )
          receiver.beginPart(headers)
        },
        partData(bytes) {
          digest?.update(bytes)
          receiver.push(bytes)
        },
        partEnd() {
          digest?.verify()
          receiver.endPart()
        },
      },
      limits,
    )
    for await (const chunk of body) {
      reader.push(chunk)
      await spool.drain()
    }
    reader.end()
  }
  receiver.end()
  await spool.seal()
  await storeMetadata(receiver, spool, transfer, turn)
}
