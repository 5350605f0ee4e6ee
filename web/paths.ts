/**
 * Every address of the page, for views and routes alike. Never with patient data in it.
 *
 * They are relative to the root of the page, which each page names in its `<base>`: so they hold below any path that a proxy
 * puts before them, and nobody has to be told of it.
 */
export const paths = {
  studies: './',
  study: (studyInstanceUID: string) => `studies/${studyInstanceUID}`,
  series: (studyInstanceUID: string, seriesInstanceUID: string, after?: string) =>
    `studies/${studyInstanceUID}/series/${seriesInstanceUID}${after ? `?after=${after}` : ''}`,
  instance: (studyInstanceUID: string, seriesInstanceUID: string, sopInstanceUID: string) =>
    `studies/${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`,
  studyZip: (studyInstanceUID: string) => `studies/${studyInstanceUID}/files.zip`,
  studyAction: (studyInstanceUID: string, action: string) =>
    `studies/${studyInstanceUID}/actions/${action}`,
  /** Of a series or instance of the study, where these are given. */
  askAction: (
    studyInstanceUID: string,
    action: string,
    part: { seriesInstanceUID?: string | undefined; sopInstanceUID?: string | undefined } = {},
  ) => {
    const query = new URLSearchParams()
    if (part.seriesInstanceUID) query.set('series', part.seriesInstanceUID)
    if (part.sopInstanceUID) query.set('instance', part.sopInstanceUID)
    const path = `studies/${studyInstanceUID}/actions/${action}`
    return query.size === 0 ? path : `${path}?${query}`
  },
  missing: (studyInstanceUID: string, after?: string) =>
    `studies/${studyInstanceUID}/missing${after ? `?after=${after}` : ''}`,
  allowResend: (studyInstanceUID: string) => `studies/${studyInstanceUID}/allow-resend`,
  commitments: 'commitments',
  commitmentsOf: (studyInstanceUID: string) => `commitments?study=${studyInstanceUID}`,
  commitment: (transactionUID: string) => `commitments/${transactionUID}`,
  transfers: 'transfers',
  transfer: (transferID: string) => `transfers/${transferID}`,
  transferFacts: (transferID: string) => `api/transfers/${transferID}`,
  problems: 'problems',
  problem: (kind: string, reason: number) => `problems/${kind}/${reason}`,
  changes: 'feed',
  webhooks: 'webhooks',
  webhook: (webhookID: string) => `webhooks/${webhookID}`,
  webhookAction: (webhookID: string, action: string) => `webhooks/${webhookID}/actions/${action}`,
  upload: 'upload',
  health: 'health',
  audit: 'audit',
  auditExport: 'api/audit',
  theme: 'theme',
  privacy: 'privacy',
  /** @param next Where to go on from there, on this server. */
  login: (next?: string) =>
    next === undefined ? 'login' : `login?next=${encodeURIComponent(next)}`,
  loginAtProvider: (next: string) => `login/oidc?next=${encodeURIComponent(next)}`,
  logout: 'logout',
  live: (page: string) => `live/${page}`,
  asset: (name: string) => `assets/${name}`,
  demo: 'api/demo',
  stow: 'dicom-web/studies',
  studyInstances: (studyInstanceUID: string) => `dicom-web/studies/${studyInstanceUID}`,
  studyMetadata: (studyInstanceUID: string) => `dicom-web/studies/${studyInstanceUID}/metadata`,
  seriesInstances: (studyInstanceUID: string, seriesInstanceUID: string) =>
    `dicom-web/studies/${studyInstanceUID}/series/${seriesInstanceUID}`,
  instanceFile: (studyInstanceUID: string, seriesInstanceUID: string, sopInstanceUID: string) =>
    `dicom-web/studies/${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`,
}

/** The id of an element that stands for a resource; dashes, because a dot in a selector is a class. */
export function elementID(kind: string, name: string): string {
  return `${kind}-${name.replaceAll('.', '-')}`
}

/** Where a page is: the way to the root, `../../`, and its own address from there. */
export interface Place {
  root: string
  self: string
}

/** By the address as this server sees it, whatever stands before it in the browser. */
export function placeOf(request: Request): Place {
  const { pathname, search } = new URL(request.url)
  const root = '../'.repeat(pathname.split('/').length - 2) || './'
  return { root, self: `./${pathname.replace(/^\/+/, '')}${search}` }
}

/** For `Location`, which is relative to the request and not to a `<base>`. */
export function locationFrom(request: Request, path: string): string {
  return placeOf(request).root + path.replace(/^\.\//, '')
}
