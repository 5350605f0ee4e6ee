import { getTableColumns } from 'drizzle-orm'
import type { Database } from './database.ts'
import { tokens } from './schema.ts'

/** Said after every change of credentials, so that all servers forget what they remember of them. */
export const accessChannel = 'stowage_access'

export type GrantKind = 'token' | 'session'

/** What a token or a session stands for while it is good. */
export interface Grant {
  kind: GrantKind
  /** SHA-256 of the token, or of what the cookie holds. */
  digest: Uint8Array
  /** `token:ct-2`, `user:admin`. */
  name: string
  roles: string[]
  /** Milliseconds for which it is good yet, by the clock of the database; null: until it is revoked. */
  endsInMs: number | null
}

export type TokenListing = Omit<typeof tokens.$inferSelect, 'tokenID' | 'digest'>

/** Whether there ever was a token or a user: from then on nobody does anything without credentials. */
export async function hasCredentials({ sql }: Pick<Database, 'sql'>): Promise<boolean> {
  const [row] = await sql`
    select exists (select from tokens) or exists (select from users) as found`
  return row?.found === true
}

/** @returns false: a token of this name is in force. */
export async function addToken(
  db: Database,
  token: { name: string; roles: readonly string[]; digest: Uint8Array; expiresAt: Date | null },
): Promise<boolean> {
  const added = await db.sql`
    insert into tokens (name, roles, digest, expires_at)
    values (${token.name}, ${token.roles as string[]}, ${token.digest}, ${token.expiresAt?.toISOString() ?? null})
    on conflict (name) where revoked_at is null do nothing
    returning token_id`
  if (added.length > 0) await tellServers(db)
  return added.length > 0
}

/** In the order in which they were made. */
export async function listTokens({ orm }: Database): Promise<TokenListing[]> {
  const { tokenID, digest, ...told } = getTableColumns(tokens)
  return orm.select(told).from(tokens).orderBy(tokens.createdAt, tokenID)
}

/** @returns false: no token of this name is in force. */
export async function revokeToken(db: Database, name: string): Promise<boolean> {
  const revoked = await db.sql`
    update tokens
    set revoked_at = now()
    where name = ${name}
    and revoked_at is null
    returning token_id`
  if (revoked.length > 0) await tellServers(db)
  return revoked.length > 0
}

/**
 * All tokens and sessions that are good, and whether there ever were credentials.
 *
 * @param idleSeconds After which a session that is not used is over.
 */
export async function readGrants(
  { sql }: Database,
  idleSeconds: number,
): Promise<{ isGuarded: boolean; grants: Grant[] }> {
  const grants = await sql<Grant[]>`
    select
      'token' as kind, digest, 'token:' || name as name, roles,
      (extract(epoch from expires_at - now()) * 1000)::double precision as "endsInMs"
    from tokens
    where revoked_at is null
    and (expires_at is null or expires_at > now())
    union all
    select
      'session', s.digest, case when u.name like 'oidc:%' then u.name else 'user:' || u.name end, u.roles,
      (extract(epoch from least(
        s.expires_at, s.last_used_at + make_interval(secs => ${idleSeconds})
      ) - now()) * 1000)::double precision
    from sessions s
    join users u on u.name = s.user_name
    where s.expires_at > now()
    and s.last_used_at > now() - make_interval(secs => ${idleSeconds})`
  return { isGuarded: grants.length > 0 || (await hasCredentials({ sql })), grants }
}

/** Notes that a token was used, if a minute went by since the last note, of whichever server. */
export async function touchToken({ sql }: Database, digest: Uint8Array): Promise<void> {
  await sql`
    update tokens
    set last_used_at = now()
    where digest = ${digest}
    and (last_used_at is null or last_used_at < now() - interval '1 minute')`
}

/** Makes a user, or gives it another password and other roles; all its sessions end. */
export async function setPassword(
  db: Database,
  user: { name: string; roles: readonly string[]; passwordDigest: string },
): Promise<void> {
  await db.sql.begin(async (sql) => {
    await sql`
      insert into users (name, roles, password_digest)
      values (${user.name}, ${user.roles as string[]}, ${user.passwordDigest})
      on conflict (name) do update
      set roles = excluded.roles, password_digest = excluded.password_digest, changed_at = now()`
    await sql`delete from sessions where user_name = ${user.name}`
  })
  await tellServers(db)
}

/** The user may not sign in with a password any more, and is signed out everywhere. @returns false: there is none. */
export async function forgetPassword(db: Database, name: string): Promise<boolean> {
  const count = await db.sql.begin(async (sql) => {
    const ended = await sql`delete from sessions where user_name = ${name}`
    const found = await sql`
      update users
      set password_digest = null, changed_at = now()
      where name = ${name}
      and password_digest is not null`
    return found.count + ended.count
  })
  await tellServers(db)
  return count > 0
}

/** The digest of a user's password; undefined: there is no such user, or he may not sign in. */
export async function findPasswordDigest(
  { sql }: Database,
  name: string,
): Promise<string | undefined> {
  const [row] = await sql`select password_digest from users where name = ${name}`
  return (row?.password_digest as string | null | undefined) ?? undefined
}

/** The roles of somebody who may sign in with a password; undefined: nobody of this name may. */
export async function findRoles({ sql }: Database, name: string): Promise<string[] | undefined> {
  const [row] = await sql`
    select roles
    from users
    where name = ${name}
    and password_digest is not null`
  return row?.roles as string[] | undefined
}

/**
 * Opens a session, if the password is still the one that was compared. Sessions that are over are swept.
 *
 * @returns false: it was changed meanwhile.
 */
export async function openSession(
  { sql }: Database,
  session: { digest: Uint8Array; userName: string; passwordDigest: string; seconds: number },
): Promise<boolean> {
  await sql`delete from sessions where expires_at < now()`
  const opened = await sql`
    insert into sessions (digest, user_name, expires_at)
    select ${session.digest}, name, now() + make_interval(secs => ${session.seconds})
    from users
    where name = ${session.userName}
    and password_digest = ${session.passwordDigest}
    -- Whoever changes the password meanwhile waits, and ends this session too.
    for share
    returning user_name`
  return opened.length > 0
}

/**
 * Opens a session for somebody whom a provider knows: a user without a password, with the roles that it gives him now.
 *
 * @param session userName `oidc:` and the subject; nobody can be given such a name here.
 */
export async function openIssuedSession(
  { sql }: Database,
  session: { digest: Uint8Array; userName: string; roles: readonly string[]; seconds: number },
): Promise<void> {
  await sql`delete from sessions where expires_at < now()`
  await sql`
    with known as (
      insert into users (name, roles)
      values (${session.userName}, ${session.roles as string[]})
      on conflict (name) do update
      set roles = excluded.roles, changed_at = now()
      returning name
    )
    insert into sessions (digest, user_name, expires_at)
    select ${session.digest}, name, now() + make_interval(secs => ${session.seconds})
    from known`
  await tellServers({ sql } as Database)
}

export async function touchSession({ sql }: Database, digest: Uint8Array): Promise<void> {
  await sql`
    update sessions
    set last_used_at = now()
    where digest = ${digest}
    and last_used_at < now() - interval '1 minute'`
}

export async function closeSession(db: Database, digest: Uint8Array): Promise<void> {
  await db.sql`delete from sessions where digest = ${digest}`
  await tellServers(db)
}

/**
 * Counts an attempt to sign in before it is judged, so that attempts at the same time count too.
 *
 * @returns how many there were in this window, this one included, and how long it lasts yet.
 */
export async function countSignIn(
  { sql }: Database,
  address: string,
  windowSeconds: number,
): Promise<{ attempts: number; secondsLeft: number }> {
  await sql`delete from sign_in_failures where window_ends_at < now()`
  const [row] = await sql<{ attempts: number; secondsLeft: number }[]>`
    insert into sign_in_failures as f (address, failed_count, window_ends_at)
    values (${address}, 1, now() + make_interval(secs => ${windowSeconds}))
    on conflict (address) do update
    set failed_count = f.failed_count + 1
    returning
      failed_count as attempts,
      ceil(extract(epoch from window_ends_at - now()))::integer as "secondsLeft"`
  return row as { attempts: number; secondsLeft: number }
}

/** Takes a counted attempt back: it was a good one. */
export async function forgiveSignIns({ sql }: Database, address: string): Promise<void> {
  await sql`delete from sign_in_failures where address = ${address}`
}

async function tellServers({ sql }: Database): Promise<void> {
  await sql`select pg_notify(${accessChannel}, '')`
}
