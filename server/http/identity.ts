import type { Context } from 'hono'
import type { AppEnv } from './env.ts'

/** What somebody may be allowed to do; `server/access/rules.ts` says which of them may do what. */
export const ROLES = ['sender', 'reader', 'operator', 'admin'] as const
export type Role = (typeof ROLES)[number]

/** Who asks. */
export interface Identity {
  /** Where the name is from, and the name: `token:ct-2`, `user:admin`, `oidc:8f14...`. */
  name: string
  roles: readonly Role[]
}

export function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text)
}

/** Whether tokens and users may be called so: it stands in lists, and with what they did. */
export function isName(text: string): boolean {
  return /^\w[\w.@-]{0,63}$/.test(text)
}

/** Whether this is all that somebody may see of transfers: those that he sent himself. */
export function seesOnlyOwn(identity: Identity | undefined): identity is Identity {
  return (
    identity !== undefined &&
    !identity.roles.some((role) => role === 'operator' || role === 'admin')
  )
}

/** How to call whoever asks, in what is written down: by his credentials, or else his network address. */
export function callerOf(c: Context<AppEnv>): string | undefined {
  return c.get('identity')?.name ?? c.env?.address
}
