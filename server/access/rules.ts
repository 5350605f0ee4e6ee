import type { Role } from '../http/identity.ts'

/** One thing that can be done, who may do it, and under which routes. */
export interface Rule {
  what: string
  /** `anyone` needs no credentials. */
  who: readonly Role[] | 'anyone'
  /** Method and pattern, as the router has them; `GET` is `HEAD` too. */
  routes: readonly string[]
}

const everyRole = ['sender', 'reader', 'operator', 'admin'] as const
const senders = ['sender', 'operator', 'admin'] as const
const readers = ['reader', 'operator', 'admin'] as const
const operators = ['operator', 'admin'] as const

/**
 * Who may do what: every route of the server stands here once.
 *
 * A route that does not is refused to everybody, and fails the tests. `docs/access.md` has the table of these
 * sentences.
 */
export const RULES: readonly Rule[] = [
  {
    what: 'Ask whether the server lives and can take a study',
    who: 'anyone',
    routes: ['GET /healthz', 'GET /readyz'],
  },
  {
    what: 'Sign in and out; load what pages are made of',
    who: 'anyone',
    routes: ['GET /login', 'POST /login', 'POST /logout', 'GET /assets/:name{.+}'],
  },
  {
    what: 'Read what the service offers, and its metrics (no patient data)',
    who: everyRole,
    routes: [
      'OPTIONS /dicom-web',
      'OPTIONS /dicom-web/',
      'GET /api/openapi.json',
      'GET /metrics',
    ],
  },
  {
    what: 'Store instances',
    who: senders,
    routes: [
      'POST /dicom-web/studies',
      'POST /dicom-web/studies/:study',
      'GET /upload',
      'POST /upload',
    ],
  },
  {
    what: 'See transfers (a sender: only its own)',
    who: senders,
    routes: [
      'GET /api/transfers',
      'GET /api/transfers/:transfer',
      'GET /transfers/:transfer',
    ],
  },
  {
    what: 'Search (QIDO-RS)',
    who: readers,
    routes: [
      'GET /dicom-web/studies',
      'GET /dicom-web/series',
      'GET /dicom-web/instances',
      'GET /dicom-web/studies/:study/series',
      'GET /dicom-web/studies/:study/instances',
      'GET /dicom-web/studies/:study/series/:series/instances',
    ],
  },
  {
    what: 'Retrieve (WADO-RS)',
    who: readers,
    routes: [
      ...[
        '/dicom-web/studies/:study',
        '/dicom-web/studies/:study/series/:series',
        '/dicom-web/studies/:study/series/:series/instances/:instance',
      ].flatMap((resource) => [
        `GET ${resource}`,
        `GET ${resource}/metadata`,
        `GET ${resource}/bulkdata`,
        `GET ${resource}/pixeldata`,
        `GET ${resource}/rendered`,
        `GET ${resource}/thumbnail`,
      ]),
      ...['/bulkdata/:element/:range', '/frames/:list', '/frames/:list/rendered', '/frames/:list/thumbnail'].map(
        (path) => `GET /dicom-web/studies/:study/series/:series/instances/:instance${path}`,
      ),
    ],
  },
  {
    what: 'Look at the pages of studies',
    who: readers,
    routes: ['GET /', 'GET /live', 'GET /studies/:study'],
  },
  {
    what: 'Follow the feed; read the state of a study',
    who: readers,
    routes: ['GET /api/changes', 'GET /changes', 'GET /api/studies/:study'],
  },
  {
    what: 'Keep a place in the feed',
    who: readers,
    routes: [
      'GET /api/consumers',
      'PUT /api/consumers/:name',
      'DELETE /api/consumers/:name',
    ],
  },
  {
    what: 'Say when something is stable',
    who: operators,
    routes: [
      'POST /api/studies/:study/settle',
      'POST /api/studies/:study/reopen',
      'GET /api/quiet-rules',
      'PUT /api/quiet-rules',
    ],
  },
  {
    what: 'Manage webhooks',
    who: operators,
    routes: [
      'GET /api/webhooks',
      'POST /api/webhooks',
      'GET /api/webhooks/:webhook',
      'PATCH /api/webhooks/:webhook',
      'DELETE /api/webhooks/:webhook',
      'GET /api/webhooks/:webhook/deliveries',
      'POST /api/webhooks/:webhook/resend',
      'POST /api/webhooks/:webhook/deliveries/:seq/resend',
      'DELETE /api/webhooks/:webhook/deliveries/:seq',
    ],
  },
]

const byRoute = new Map(RULES.flatMap((rule) => rule.routes.map((route) => [route, rule] as const)))

/** @param route Method and pattern, as `GET /studies/:study`. @returns Undefined: nobody decided yet, so nobody may. */
export function ruleOf(route: string): Rule | undefined {
  return byRoute.get(route)
}
