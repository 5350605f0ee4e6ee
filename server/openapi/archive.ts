import { evidenceExtents, evidenceSources, transferStates, verdicts } from '../../db/schema.ts'
import {
  badRequest,
  body,
  commaList,
  count,
  empty,
  flag,
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
  problem,
  type Schema,
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
  'sentBy?': text,
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

const verdict = oneOf(verdicts)
const expected: Schema = { type: ['integer', 'null'], minimum: 0 }

const completeness = object(
  {
    verdict,
    received: count,
    expected,
    missingCount: count,
    missing: list(uid),
    series: list(object({ seriesInstanceUID: uid, verdict, received: count, expected })),
    evidence: list(
      object({
        source: oneOf(evidenceSources),
        'origin?': text,
        extent: oneOf(evidenceExtents),
        'seriesInstanceUID?': uid,
        'instanceCount?': count,
        isList: flag,
        missingCount: count,
        'claimedBy?': text,
        'detail?': text,
        claimedAt: instant,
        'askedAt?': instant,
      }),
    ),
  },
  'Whether it is whole, and the evidence for it. Of what is missing, the first 1,000 that are known by UID',
)

const study = object({
  studyInstanceUID: uid,
  state: oneOf(['expected', 'receiving', 'settling', 'stable']),
  'generation?': count,
  'settlesAt?': instant,
  'settledAt?': instant,
  'digest?': sha256,
  seriesCount: count,
  instanceCount: count,
  byteLength: count,
  'firstReceivedAt?': instant,
  'lastReceivedAt?': instant,
  completeness,
  commitment: object({
    state: oneOf(['none', 'some', 'all', 'failed']),
    committed: count,
    failed: count,
  }),
})

const declaration: Schema = {
  oneOf: [
    object({ instanceCount: count }),
    object({ sopInstanceUIDs: list(uid) }),
    object({
      series: list({
        oneOf: [
          object({ seriesInstanceUID: uid, instanceCount: count }),
          object({ seriesInstanceUID: uid, sopInstanceUIDs: list(uid) }),
        ],
      }),
    }),
  ],
}

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
  '/api/studies/{study}/evidence': {
    get: {
      summary: 'Whether it is whole, also of a study that was only spoken of',
      parameters: [inPath('study', uid)],
      responses: { 200: json('It', completeness), 404: notFound },
    },
    put: {
      summary:
        'Declare what it holds: how many, which, or by series; in place of what was declared here before',
      parameters: [inPath('study', uid)],
      requestBody: body(declaration),
      responses: {
        200: json('What follows from it', completeness),
        400: badRequest,
        404: notFound,
      },
    },
    delete: {
      summary: 'Withdraw what was declared',
      parameters: [inPath('study', uid)],
      responses: { 204: empty('Withdrawn'), 404: notFound },
    },
  },
  '/api/studies/{study}/evidence/ask': {
    post: {
      summary: 'Ask the server of STOWAGE_PEER_URL now which instances it has of it',
      parameters: [inPath('study', uid)],
      responses: {
        200: json('What follows from its answer', completeness),
        404: notFound,
        409: problem('Nobody is configured'),
      },
    },
  },
  '/api/studies/{study}/missing': {
    get: {
      summary: 'Instances that are named somewhere and are not here',
      parameters: [
        inPath('study', uid),
        inQuery('after', uid, 'Those after this UID'),
        inQuery(
          'limit',
          { type: 'integer', minimum: 1 },
          '1,000 if it is left out, 100,000 at most',
        ),
      ],
      responses: {
        200: json('They', object({ sopInstanceUIDs: list(uid), done: flag })),
        400: badRequest,
        404: notFound,
      },
    },
  },
  '/api/demo': {
    post: {
      summary:
        'Sends made-up studies to this server, while it has none: the first slices after a second, all in a minute',
      responses: {
        202: json('On their way', object({ studyInstanceUIDs: list(uid) })),
        303: empty('To the page, for who accepts text/html'),
        403: problem('A page of another site asked'),
        409: problem('There are studies, or the demonstration is on its way'),
      },
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
