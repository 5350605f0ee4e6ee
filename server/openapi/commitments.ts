import { commitmentStates } from '../../db/schema.ts'
import {
  badRequest,
  commaList,
  count,
  inPath,
  inQuery,
  instant,
  json,
  list,
  notFound,
  object,
  oneOf,
  type Paths,
  problem,
  text,
  uid,
} from './parts.ts'

const commitment = {
  transactionUID: uid,
  state: oneOf(commitmentStates),
  form: oneOf(['flat', 'study']),
  'requester?': text,
  'requesterProduct?': text,
  requestedAt: instant,
  'finishedAt?': instant,
  instanceCount: count,
  byteLength: count,
  checkedCount: count,
  committedCount: count,
  failedCount: count,
  cursor: count,
}

const study = object({ studyInstanceUID: uid, committedCount: count, failedCount: count })

const failure = object({
  'studyInstanceUID?': uid,
  'seriesInstanceUID?': uid,
  sopClassUID: uid,
  sopInstanceUID: uid,
  failureReason: count,
  failureReasonHex: text,
  detail: text,
})

const verified = object({
  studyInstanceUID: uid,
  instanceCount: count,
  byteLength: count,
  damagedCount: count,
  unreadableCount: count,
  faults: list(
    object({
      sopInstanceUID: uid,
      finding: oneOf(['differs', 'missing', 'too short', 'unreadable']),
    }),
  ),
})

/** Storage commitment requests, and reading a study again. */
export const commitmentPaths: Paths = {
  '/api/commitments': {
    get: {
      summary: 'Storage commitment requests, the newest first',
      parameters: [
        inQuery('limit', { type: 'integer', minimum: 1 }, '50 if it is left out, 1,000 at most'),
        inQuery('before', { type: 'integer', minimum: 1 }, 'Those before this cursor'),
        inQuery('state', commaList(commitmentStates), 'Only those in one of these states'),
        inQuery('studyInstanceUID', uid, 'Only those that concerned this study'),
      ],
      responses: {
        200: json('They', object({ commitments: list(object(commitment)) })),
        400: badRequest,
      },
    },
  },
  '/api/commitments/{transaction}': {
    get: {
      summary: 'One of them, with its studies and what failed, 1,000 of each at most',
      parameters: [inPath('transaction', uid)],
      responses: {
        200: json('It', object({ ...commitment, studies: list(study), failures: list(failure) })),
        404: notFound,
      },
    },
  },
  '/api/studies/{study}/verify': {
    post: {
      summary: 'Read all bytes of a study again, and compare them with their digests',
      parameters: [inPath('study', uid)],
      responses: {
        200: json('What was found', verified),
        404: notFound,
        503: problem('Too many studies are being verified'),
      },
    },
  },
}
