import { sql } from 'drizzle-orm'
import { check, integer, pgTable, uuid } from 'drizzle-orm/pg-core'
import { instant } from './columns.ts'

/**
 * While a backup copies segments, none that were kept are deleted, whatever became of their instances since. One
 * backup at a time, so there is one row at most; nobody answers for it after `leaseUntil`.
 */
export const backupLease = pgTable(
  'backup_lease',
  {
    onlyRow: integer('only_row').primaryKey(),
    backupID: uuid('backup_id').notNull(),
    leaseUntil: instant('lease_until').notNull(),
  },
  (t) => [check('backup_lease_only_row', sql`${t.onlyRow} = 1`)],
)
