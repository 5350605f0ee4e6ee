import type { NewAuditEvent } from '../../db/audit.ts'

/** Somebody on the machine of a server set something for all; never with a secret in it. */
export function configured(what: string): NewAuditEvent {
  return { ageMs: 0, action: 'configure', actor: 'command', outcome: 0, what, eventCount: 1 }
}
