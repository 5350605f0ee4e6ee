import { changeLevels, changeTypes, deliveryStates } from '../../db/schema.ts'
import { change } from './changes.ts'
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
  uuid,
} from './parts.ts'

const url = { type: 'string', format: 'uri' }
const types = list(oneOf(changeTypes))
const levels = list(oneOf(changeLevels))
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: 'null' }] })

const webhook = {
  webhookID: uuid,
  url,
  'types?': types,
  'levels?': levels,
  paused: flag,
  position: count,
  createdAt: instant,
  deliveredCount: count,
  failedAttemptCount: count,
  'lastAttemptAt?': instant,
  'lastDeliveredAt?': instant,
  'lastStatus?': count,
  'lastError?': text,
  deliveries: object(Object.fromEntries(deliveryStates.map((state) => [state, count]))),
}
const settings = {
  'types?': orNull(types),
  'levels?': orNull(levels),
  'paused?': flag,
}
const delivery = object({
  seq: count,
  type: oneOf(changeTypes),
  level: oneOf(changeLevels),
  'studyInstanceUID?': text,
  'seriesInstanceUID?': text,
  'transferID?': uuid,
  state: oneOf(deliveryStates),
  'dueAt?': instant,
  attempts: count,
  'lastAttemptAt?': instant,
  'lastStatus?': count,
  'lastError?': text,
})
const webhookID = inPath('webhook', uuid)
const seq = inPath('seq', count)
const resent = json('How many are sent again', object({ resent: count }))

/** Who is told of changes. */
export const webhookPaths: Paths = {
  '/api/webhooks': {
    get: {
      summary: 'All webhooks, and how they are doing',
      responses: { 200: json('They', object({ webhooks: list(object(webhook)) })) },
    },
    post: {
      summary: 'Tell a URL of changes as they come',
      requestBody: body(object({ url, ...settings, 'since?': count })),
      responses: {
        201: json(
          'It, with its secret, which nobody is told again',
          object({ ...webhook, secret: text }),
        ),
        400: badRequest,
        410: gone,
      },
    },
  },
  '/api/webhooks/{webhook}': {
    get: {
      summary: 'One webhook',
      parameters: [webhookID],
      responses: { 200: json('It', object(webhook)), 404: notFound },
    },
    patch: {
      summary: 'Change it',
      parameters: [webhookID],
      requestBody: body(object({ 'url?': url, ...settings })),
      responses: { 200: json('It', object(webhook)), 400: badRequest, 404: notFound },
    },
    delete: {
      summary: 'Delete it, with what was not delivered',
      parameters: [webhookID],
      responses: { 204: empty('Deleted'), 404: notFound },
    },
  },
  '/api/webhooks/{webhook}/secret': {
    post: {
      summary: 'Give it another secret; the one before it signs too for a time',
      parameters: [webhookID],
      requestBody: body(
        object({ 'oldSeconds?': { type: 'number', minimum: 0, maximum: 2592000 } }),
      ),
      responses: {
        200: json('The new one', object({ secret: text, oldSecretUntil: instant })),
        400: badRequest,
        404: notFound,
      },
    },
  },
  '/api/webhooks/{webhook}/deliveries': {
    get: {
      summary: 'What is not delivered yet',
      parameters: [
        webhookID,
        inQuery('state', commaList(deliveryStates), 'Only those in one of these states'),
        inQuery('since', count, 'Those after this seq'),
        inQuery('limit', { type: 'integer', minimum: 1 }, '100 if it is left out, 1,000 at most'),
      ],
      responses: {
        200: json('They', object({ deliveries: list(delivery), done: flag })),
        400: badRequest,
        404: notFound,
      },
    },
  },
  '/api/webhooks/{webhook}/resend': {
    post: {
      summary: 'Send all again that are dead or waiting',
      parameters: [webhookID],
      responses: { 202: resent, 404: notFound },
    },
  },
  '/api/webhooks/{webhook}/deliveries/{seq}/resend': {
    post: {
      summary: 'Send one again that is dead or waiting',
      parameters: [webhookID, seq],
      responses: { 202: resent, 404: notFound },
    },
  },
  '/api/webhooks/{webhook}/deliveries/{seq}': {
    delete: {
      summary: 'Give up on one that is dead',
      parameters: [webhookID, seq],
      responses: { 204: empty('The next one of its study is sent'), 404: notFound },
    },
  },
}

/** What a webhook's URL is sent. */
export const webhookMessages = {
  change: {
    post: {
      summary: 'One change, signed as the Standard Webhooks scheme says',
      requestBody: body(change),
      responses: { '2XX': empty('Taken') },
    },
  },
}
