import { sql as raw } from 'drizzle-orm'
import { index, integer, pgTable, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { bytea, instant } from './columns.ts'

/** API tokens. A revoked one keeps its row, which is what says that this archive is not open to everybody. */
export const tokens = pgTable(
  'tokens',
  {
    tokenID: uuid('token_id').primaryKey().defaultRandom(),
    /** Who it is given to; what it sends is known under this name. */
    name: text('name').notNull(),
    roles: text('roles').array().notNull(),
    /** SHA-256 of the token, which is itself nowhere. */
    digest: bytea('digest').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    expiresAt: instant('expires_at'),
    /** True to a minute. */
    lastUsedAt: instant('last_used_at'),
    revokedAt: instant('revoked_at'),
  },
  (t) => [
    uniqueIndex('tokens_digest').on(t.digest),
    // One that is in force; the name of a revoked one may be given again, to the same sender.
    uniqueIndex('tokens_name').on(t.name).where(raw`revoked_at is null`),
  ],
)

/** People who sign in on the page with a password. */
export const users = pgTable('users', {
  name: text('name').primaryKey(),
  roles: text('roles').array().notNull(),
  /** `scrypt$N$r$p$salt$key`; null: may not sign in any more. */
  passwordDigest: text('password_digest'),
  createdAt: instant('created_at').notNull().defaultNow(),
  changedAt: instant('changed_at').notNull().defaultNow(),
})

/** Browsers that have signed in, known to every server. */
export const sessions = pgTable(
  'sessions',
  {
    /** SHA-256 of what the cookie holds. */
    digest: bytea('digest').primaryKey(),
    userName: text('user_name')
      .notNull()
      .references(() => users.name, { onDelete: 'cascade' }),
    createdAt: instant('created_at').notNull().defaultNow(),
    lastUsedAt: instant('last_used_at').notNull().defaultNow(),
    expiresAt: instant('expires_at').notNull(),
  },
  (t) => [index('sessions_user_name').on(t.userName)],
)

/** Failed sign-ins of a network address, counted over all servers, in windows of some minutes. */
export const signInFailures = pgTable('sign_in_failures', {
  address: text('address').primaryKey(),
  failedCount: integer('failed_count').notNull(),
  windowEndsAt: instant('window_ends_at').notNull(),
})
