import { bigint, customType, integer, timestamp } from 'drizzle-orm/pg-core'

export const bytea = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' })
export const instant = (name: string) => timestamp(name, { withTimezone: true })
export const key = (name: string) => bigint(name, { mode: 'number' })
export const count = (name: string) => integer(name).notNull().default(0)
export const bytes = (name: string) => bigint(name, { mode: 'number' }).notNull().default(0)
