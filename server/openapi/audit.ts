import { auditActions } from '../../db/schema.ts'
import {
  badRequest,
  commaList,
  count,
  inQuery,
  instant,
  list,
  object,
  oneOf,
  type Paths,
  text,
  uid,
  uuid,
} from './parts.ts'

const event = object({
  cursor: text,
  at: instant,
  action: oneOf(auditActions),
  eventID: text,
  'eventType?': text,
  eventActionCode: oneOf(['C', 'R', 'U', 'D', 'E']),
  outcome: { type: 'integer', enum: [0, 4, 8] },
  'actor?': text,
  'source?': text,
  'studyInstanceUID?': uid,
  'seriesInstanceUID?': uid,
  'sopInstanceUID?': uid,
  'transferID?': uuid,
  'what?': text,
  eventCount: count,
  'instanceCount?': count,
})

const day = 'A date, or an instant, of UTC'

export const auditPaths: Paths = {
  '/api/audit': {
    get: {
      summary: 'Who stored, saw, changed and deleted what, from the oldest event on',
      parameters: [
        inQuery('action', commaList(auditActions), 'What was done'),
        inQuery('actor', text, 'By whom'),
        inQuery('source', text, 'From which network address'),
        inQuery('study', uid, 'To which study'),
        inQuery('from', text, day),
        inQuery('until', text, `${day}; of a date, its end`),
        inQuery('after', text, 'The cursor of the last event that is known already'),
        inQuery('limit', count, 'As JSON 100 when left out, 1,000 at most; else no limit'),
        inQuery('format', oneOf(['json', 'ndjson', 'csv']), 'As Accept may say too'),
      ],
      responses: {
        200: {
          description: 'Some of them; as CSV or NDJSON all, as they are read',
          content: {
            'application/json': { schema: object({ events: list(event), 'next?': text }) },
            'application/x-ndjson': { schema: event },
            'text/csv': { schema: text },
          },
        },
        400: badRequest,
      },
    },
  },
}
