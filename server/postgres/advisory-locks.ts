/**
 * The advisory locks that servers take in Postgres, all in one list, so that no two mean the same number.
 * Each is a pair: ours ("Stow" in ASCII), then what it guards.
 */
const OURS = 0x53_74_6f_77

/** Held for the life of a server that runs the embedded Postgres of a data folder. */
export const DATA_FOLDER_LOCK = [OURS, 1] as const

/** Held while migrations run. */
export const MIGRATION_LOCK = [OURS, 2] as const

/** Held for the moment in which a server takes a segment to verify; only the SQL function `claim_segment` names it. */
export const SEGMENT_CLAIM_LOCK = [OURS, 3] as const

/** Held by whoever goes by the quiet rules, shared, and by whoever changes them; only two SQL functions of `quiet-rules.sql` name it. */
export const QUIET_RULES_LOCK = [OURS, 4] as const
