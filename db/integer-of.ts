/**
 * SQL of the integer that a text is; null where it is none, for what senders write into an IS is kept as it came.
 *
 * Indexes are made of it, and are found only by the same expression: a change takes a migration that makes them anew.
 */
export function integerOf(column: string): string {
  // Not \d, which may be a digit of any script, and those are no integer to Postgres.
  return `case when ${column} ~ '^[+-]?[0-9]{1,12}$' then ${column}::bigint end`
}
