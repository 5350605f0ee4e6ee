import { boolean, integer, pgTable, real, text } from 'drizzle-orm/pg-core'

/**
 * How long nothing may arrive before something is stable: the first rule that fits, by position. The last
 * one fits everything.
 */
export const quietRules = pgTable('quiet_rules', {
  position: integer('position').primaryKey(),
  /** Each of these fits if it is null: the sender's address, the modality, an attribute of the study. */
  sender: text('sender'),
  modality: text('modality'),
  keyword: text('keyword'),
  value: text('value'),
  quietSeconds: real('quiet_seconds').notNull(),
  /** A study that becomes complete settles at once. */
  settleWhenComplete: boolean('settle_when_complete').notNull().default(false),
})
