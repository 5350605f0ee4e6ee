import { transferStates } from '../../db/schema.ts'
import {
  badRequest,
  commaList,
  count,
  empty,
  gone,
  inPath,
  inQuery,
  instant,
  json,
  list,
  notFound,
  object,
  oneOf,
  type Paths,
  sha256,
  text,
  uid,
  uuid,
} from './parts.ts'

const transfer = {
  transferID: uuid,
  state: oneOf(transferStates),
  service: oneOf(['stow', 'upload']),
  handling: oneOf(['strict', 'lenient']),
  receivedBytes: count,
  partCount: count,
  storedCount: count,
  duplicateCount: count,
  refusedCount: count,
  warningCount: count,
  startedAt: instant,
  'endedAt?': instant,
  'reason?': text,
  'sender?': text,
  'senderProduct?': text,
  'studyInstanceUID?': uid,
  'announcedBytes?': count,
}

const refusal = object({
  position: count,
  failureReason: count,
  failureReasonHex: text,
  detail: text,
  'studyInstanceUID?': text,
  'sopClassUID?': text,
  'sopInstanceUID?': text,
})

const warning = object({
  position: count,
  warningReason: count,
  warningReasonHex: text,
  detail: text,
  studyInstanceUID: uid,
  sopInstanceUID: uid,
})

const study = object({
  studyInstanceUID: uid,
  state: oneOf(['receiving', 'settling', 'stable']),
  generation: count,
  'settlesAt?': instant,
  'settledAt?': instant,
  'digest?': sha256,
  seriesCount: count,
  instanceCount: count,
  byteLength: count,
  firstReceivedAt: instant,
  lastReceivedAt: instant,
})

/** Transfers, and what is said of one study. */
export const archivePaths: Paths = {
  '/api/transfers': {
    get: {
      summary: 'Transfers now and before, the newest first',
      parameters: [
        inQuery('limit', { type: 'integer', minimum: 1 }, '50 if it is left out, 1,000 at most'),
        inQuery('state', commaList(transferStates), 'Only those in one of these states'),
      ],
      responses: {
        200: json('They', object({ transfers: list(object(transfer)) })),
        400: badRequest,
      },
    },
  },
  '/api/transfers/{transfer}': {
    get: {
      summary: 'One transfer, with its refusals and warnings',
      parameters: [inPath('transfer', uuid)],
      responses: {
        200: json('It', object({ ...transfer, refusals: list(refusal), warnings: list(warning) })),
        404: notFound,
      },
    },
  },
  '/api/studies/{study}': {
    get: {
      summary: 'What is known of a study: whether it is stable, and how much it holds',
      parameters: [inPath('study', uid)],
      responses: { 200: json('It', study), 404: notFound, 410: gone },
    },
  },
  '/api/studies/{study}/settle': {
    post: {
      summary:
        'Let it become stable without waiting; what is on its way holds it back all the same',
      parameters: [inPath('study', uid)],
      responses: { 202: empty('As soon as nothing is on its way'), 404: notFound },
    },
  },
  '/api/studies/{study}/reopen': {
    post: {
      summary: 'Begin its next generation: there will be another stable event',
      parameters: [inPath('study', uid)],
      responses: { 202: empty('Its quiet time begins anew'), 404: notFound },
    },
  },
}
