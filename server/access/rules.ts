import type { Role } from '../http/identity.ts'

/** One thing that can be done, who may do it, and by which routes. */
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
const admins = ['admin'] as const

const study = '/dicom-web/studies/:study'
const series = `${study}/series/:series`
const instance = `${series}/instances/:instance`

/**
 * Who may do what: every route of the server stands here once.
 *
 * A route that does not is refused to everybody, and fails the tests. `docs/access.md` has these sentences as a table.
 */
export const RULES: readonly Rule[] = [
  {
    what: 'Ask whether the server lives, and can take a study',
    who: 'anyone',
    routes: ['GET /healthz', 'GET /readyz'],
  },
  {
    what: 'Sign in and out; load styles and scripts; choose light or dark, and whether patients are hidden',
    who: 'anyone',
    routes: [
      'GET /login',
      'POST /login',
      'GET /login/oidc',
      'GET /login/oidc/callback',
      'POST /logout',
      'GET /assets/:name{.+}',
      'POST /theme',
      'POST /privacy',
    ],
  },
  {
    what: 'Read what the service offers, and its metrics: no patient data',
    who: everyRole,
    routes: ['OPTIONS /dicom-web', 'OPTIONS /dicom-web/', 'GET /api/openapi.json', 'GET /metrics'],
  },
  {
    what: 'Store instances',
    who: senders,
    routes: ['POST /dicom-web/studies', `POST ${study}`, 'GET /upload', 'POST /upload'],
  },
  {
    what: 'Ask for storage commitment, and for its result',
    who: senders,
    routes: [
      'POST /dicom-web/commitment-requests/:transaction',
      'GET /dicom-web/commitment-requests/:transaction',
    ],
  },
  {
    what: 'See transfers; a sender sees its own',
    who: senders,
    routes: ['GET /api/transfers', 'GET /api/transfers/:transfer'],
  },
  {
    what: 'Say what a study should hold, and see it',
    who: senders,
    routes: ['GET /api/studies/:study/evidence', 'PUT /api/studies/:study/evidence'],
  },
  {
    what: 'Search (QIDO-RS)',
    who: readers,
    routes: [
      'GET /dicom-web/studies',
      'GET /dicom-web/series',
      'GET /dicom-web/instances',
      `GET ${study}/series`,
      `GET ${study}/instances`,
      `GET ${series}/instances`,
    ],
  },
  {
    what: 'Retrieve (WADO-RS)',
    who: readers,
    routes: [
      ...[study, series, instance].flatMap((resource) => [
        `GET ${resource}`,
        `GET ${resource}/metadata`,
        `GET ${resource}/bulkdata`,
        `GET ${resource}/pixeldata`,
        `GET ${resource}/rendered`,
        `GET ${resource}/thumbnail`,
      ]),
      `GET ${instance}/bulkdata/:element/:range`,
      `GET ${instance}/frames/:list`,
      `GET ${instance}/frames/:list/rendered`,
      `GET ${instance}/frames/:list/thumbnail`,
    ],
  },
  {
    what: 'Look at studies in a browser',
    who: readers,
    routes: [
      'GET /',
      'POST /',
      'GET /live/studies',
      'GET /live/rows',
      'GET /studies/:study',
      'GET /live/study/:study',
      'GET /studies/:study/files.zip',
      'GET /studies/:study/missing',
      'GET /studies/:study/series/:series',
      'GET /studies/:study/series/:series/instances/:instance',
    ],
  },
  {
    what: 'Follow the feed, and keep a place in it; read the state of a study',
    who: readers,
    routes: [
      'GET /api/changes',
      'GET /changes',
      'GET /api/consumers',
      'PUT /api/consumers/:name',
      'DELETE /api/consumers/:name',
      'GET /api/studies/:study',
      'GET /api/studies/:study/missing',
      'GET /feed',
      'GET /live/changes',
    ],
  },
  {
    what: 'Look at transfers, commitments, problems, webhooks and health in a browser',
    who: operators,
    routes: [
      'GET /transfers',
      'GET /live/transfers',
      'GET /transfers/:transfer',
      'GET /live/transfer/:transfer',
      'GET /commitments',
      'GET /live/commitments',
      'GET /commitments/:transaction',
      'GET /live/commitment/:transaction',
      'GET /problems',
      'GET /live/problems',
      'GET /problems/:kind/:reason',
      'GET /live/problems/:kind/:reason',
      'GET /webhooks',
      'GET /live/webhooks',
      'GET /webhooks/:webhook',
      'GET /health',
      'GET /live/health',
    ],
  },
  {
    what: 'Act on a study: settle, reopen, verify, ask a peer, take evidence back',
    who: operators,
    routes: [
      'GET /studies/:study/actions/:action',
      'POST /studies/:study/actions/:action',
      'POST /studies/:study/allow-resend',
      'POST /api/studies/:study/settle',
      'POST /api/studies/:study/reopen',
      'POST /api/studies/:study/verify',
      'POST /api/studies/:study/evidence/ask',
      'DELETE /api/studies/:study/evidence',
    ],
  },
  {
    what: 'Delete, see what was deleted, and allow it to be sent again',
    who: operators,
    routes: [
      `DELETE ${study}`,
      `DELETE ${series}`,
      `DELETE ${instance}`,
      'GET /api/deletions',
      'GET /api/deletions/:deletion',
      'POST /api/studies/:study/allow-resend',
      'POST /api/studies/:study/series/:series/allow-resend',
      'POST /api/studies/:study/series/:series/instances/:instance/allow-resend',
    ],
  },
  {
    what: 'See all commitments',
    who: operators,
    routes: ['GET /api/commitments', 'GET /api/commitments/:transaction'],
  },
  { what: 'See quiet times', who: operators, routes: ['GET /api/quiet-rules'] },
  { what: 'Set quiet times', who: admins, routes: ['PUT /api/quiet-rules'] },
  { what: 'Read the audit log', who: admins, routes: ['GET /audit', 'GET /api/audit'] },
  {
    what: 'Have the demonstration sent to an empty archive',
    who: operators,
    routes: ['POST /api/demo'],
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
      'POST /api/webhooks/:webhook/secret',
      'POST /api/webhooks/:webhook/resend',
      'GET /api/webhooks/:webhook/deliveries',
      'POST /api/webhooks/:webhook/deliveries/:seq/resend',
      'DELETE /api/webhooks/:webhook/deliveries/:seq',
      'POST /webhooks/:webhook/actions/:action',
    ],
  },
]

const byRoute = new Map(RULES.flatMap((rule) => rule.routes.map((route) => [route, rule] as const)))

/** @param route As `GET /studies/:study`. @returns Undefined: nobody has decided yet, so nobody may. */
export function ruleOf(route: string): Rule | undefined {
  return byRoute.get(route)
}

/** What is done with these methods changes nothing, wherever the request comes from. */
export const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS']
