import { deletionLevels } from '../../db/schema.ts'
import {
  badRequest,
  count,
  flag,
  inPath,
  inQuery,
  instant,
  json,
  list,
  notFound,
  type Operation,
  object,
  oneOf,
  type Paths,
  text,
  uid,
} from './parts.ts'

const deletion = {
  deletion: count,
  level: oneOf(deletionLevels),
  studyInstanceUID: uid,
  'seriesInstanceUID?': uid,
  'sopInstanceUID?': uid,
  'reason?': text,
  'sender?': text,
  isForced: flag,
  allowsResend: flag,
  seriesCount: count,
  instanceCount: count,
  committedInstanceCount: count,
  byteLength: count,
  deletedAt: instant,
}

export const deletionPaths: Paths = {
  '/api/deletions': {
    get: {
      summary: 'What was deleted, the newest first',
      parameters: [
        inQuery('limit', count, '100 when left out, 1,000 at most'),
        inQuery('before', count, 'Older than this one'),
        inQuery('studyInstanceUID', uid, 'Of this study only'),
      ],
      responses: {
        200: json('Some of them', object({ deletions: list(object(deletion)) })),
        400: badRequest,
      },
    },
  },
  '/api/deletions/{deletion}': {
    get: {
      summary: 'One deletion, and how many of its instances are refused when they come again',
      parameters: [inPath('deletion', count)],
      responses: {
        200: json('It', object({ ...deletion, refusedInstanceCount: count })),
        404: notFound,
      },
    },
  },
  '/api/studies/{study}/allow-resend': { post: allowResend('study', 'study') },
  '/api/studies/{study}/series/{series}/allow-resend': {
    post: allowResend('series', 'study', 'series'),
  },
  '/api/studies/{study}/series/{series}/instances/{instance}/allow-resend': {
    post: allowResend('instance', 'study', 'series', 'instance'),
  },
}

function allowResend(level: string, ...names: string[]): Operation {
  return {
    summary: `What was deleted of the ${level} may be sent again`,
    parameters: names.map((name) => inPath(name, uid)),
    responses: {
      200: json(
        'How many instances were refused until now',
        object({ allowedInstanceCount: count }),
      ),
      400: badRequest,
      404: notFound,
    },
  }
}
