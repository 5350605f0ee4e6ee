import { changeLevels, changeTypes } from '../../db/schema.ts'
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
  type Schema,
  text,
  uid,
} from './parts.ts'

/** Beside these a type has members of its own: counts, a generation, a digest. */
export const change: Schema = {
  ...object({
    seq: { type: 'integer', minimum: 1 },
    type: oneOf(changeTypes),
    level: oneOf(changeLevels),
    at: instant,
    'studyInstanceUID?': uid,
    'seriesInstanceUID?': uid,
    'sopInstanceUID?': uid,
    'patientID?': text,
    'issuerOfPatientID?': text,
    'transferID?': text,
    'generation?': count,
  }),
  additionalProperties: true,
}

const consumer = object({
  name: text,
  acknowledged: count,
  acknowledgedAt: instant,
})
const consumerName = inPath('name', { type: 'string', pattern: '^[A-Za-z0-9_.-]{1,64}$' })
const seconds = { type: 'number', minimum: 0, maximum: 604800 }

const quietRules = object({
  rules: list(
    object({
      'sender?': text,
      'modality?': text,
      'keyword?': text,
      'value?': text,
      quietSeconds: seconds,
      'settleWhenComplete?': flag,
    }),
  ),
})

/** The feed, who reads it, and when something becomes stable. */
export const changesPaths: Paths = {
  '/api/changes': {
    get: {
      summary: 'The feed of changes; with Accept: text/event-stream as a stream of events',
      parameters: [
        inQuery('since', count, 'Those after this seq'),
        inQuery('before', { type: 'integer', minimum: 1 }, 'Those before this seq, backwards'),
        inQuery('consumer', text, 'Those after what this consumer has acknowledged'),
        inQuery('limit', { type: 'integer', minimum: 1 }, '100 if it is left out, 10,000 at most'),
        inQuery('wait', count, 'Seconds to wait for a change, 60 at most'),
        inQuery('type', commaList(changeTypes), 'Only these types'),
        inQuery('level', commaList(changeLevels), 'Only these levels'),
        inQuery('studyInstanceUID', uid, 'Only those of this study'),
      ],
      responses: {
        200: {
          description: 'They, in the order of their seq',
          content: {
            'application/json': {
              schema: object({
                changes: list(change),
                last: count,
                done: { type: 'boolean' },
              }),
            },
            'text/event-stream': { schema: text },
          },
        },
        400: badRequest,
        404: notFound,
        410: gone,
      },
    },
  },
  '/api/consumers': {
    get: {
      summary: 'Readers whose position the database keeps',
      responses: { 200: json('They', object({ consumers: list(consumer) })) },
    },
  },
  '/api/consumers/{name}': {
    put: {
      summary: 'Acknowledge all changes up to a seq; makes the consumer if there is none',
      parameters: [consumerName],
      requestBody: body(object({ acknowledged: count })),
      responses: { 200: json('The consumer', consumer), 400: badRequest, 410: gone },
    },
    delete: {
      summary: 'Forget a consumer',
      parameters: [consumerName],
      responses: { 204: empty('Forgotten'), 400: badRequest, 404: notFound },
    },
  },
  '/api/quiet-rules': {
    get: {
      summary: 'How long nothing may arrive before something is stable; the first rule that fits',
      responses: { 200: json('They, in order', quietRules) },
    },
    put: {
      summary: 'Replace all of them, at once also for what waits already',
      requestBody: body(quietRules),
      responses: { 200: json('As they are now', quietRules), 400: badRequest },
    },
  },
}
