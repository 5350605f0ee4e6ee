import { join } from 'node:path'
import { ShapeError } from './config-shapes.ts'
import { SETTINGS, type Setting } from './config-table.ts'
import { OperatorError } from './operator-error.ts'

export type Environment = Record<string, string | undefined>

type Parsed<S> = S extends { shape: { parse(text: string): infer T }; fallback: infer F }
  ? T | (F extends string ? never : undefined)
  : never

/** What the settings say, checked: milliseconds and bytes, folders as absolute paths. */
export type Config = {
  [K in Exclude<keyof typeof SETTINGS, 'storeDir'>]: Parsed<(typeof SETTINGS)[K]>
} & { storeDir: string }

/** One or more settings are wrong; the message has a line for each. */
export class ConfigError extends OperatorError {
  override name = 'ConfigError'
  readonly problems: string[]

  constructor(problems: string[]) {
    const lines = problems.map((problem) => `\n  ${problem}`).join('')
    super(`Cannot start with these settings:${lines}`)
    this.problems = problems
  }
}

/**
 * Reads every setting from the environment. An empty variable counts as not set.
 *
 * @throws {ConfigError} Names all that is wrong at once, and what to write instead. Never shows a password.
 */
export function readConfig(env: Environment): Config {
  const problems: string[] = []
  const values: Record<string, unknown> = {}
  for (const [key, { name, fallback, shape }] of Object.entries<Setting>(SETTINGS)) {
    const text = readValue(env, name) ?? fallback
    try {
      values[key] = text === undefined ? undefined : shape.parse(text)
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error
      problems.push(`${name}: ${error.message}`)
    }
  }
  if (readValue(env, 'DATABASE_DIRECT_URL') && !readValue(env, 'DATABASE_URL')) {
    problems.push('DATABASE_DIRECT_URL: set DATABASE_URL too, or neither')
  }
  for (const name of ['STOWAGE_OIDC_CLIENT_ID', 'STOWAGE_OIDC_CLIENT_SECRET']) {
    const needed = name.endsWith('_ID') ? 'STOWAGE_OIDC_ISSUER' : 'STOWAGE_OIDC_CLIENT_ID'
    if (readValue(env, name) && !readValue(env, needed)) problems.push(`${name}: set ${needed} too`)
  }
  const [cert, key] = ['STOWAGE_TLS_CERT_FILE', 'STOWAGE_TLS_KEY_FILE'] as const
  if ((readValue(env, cert) === undefined) !== (readValue(env, key) === undefined)) {
    problems.push(`${readValue(env, cert) ? key : cert}: set it too, or neither; TLS needs both`)
  }
  if (problems.length > 0) throw new ConfigError(problems)
  const config = values as Omit<Config, 'storeDir'> & { storeDir: string | undefined }
  return { ...config, storeDir: config.storeDir ?? join(config.dataDir, 'segments') }
}

/** A sentence for each variable that looks like a setting and is none: most likely misspelt. */
export function findUnknownSettings(env: Environment): string[] {
  const known = Object.values<Setting>(SETTINGS).map(({ name }) => name)
  return Object.keys(env)
    .filter((name) => name.startsWith('STOWAGE_') && !known.includes(name))
    .map((name) => {
      const nearest = findNearest(name, known)
      return `${name} is no setting${nearest === undefined ? '' : `; is ${nearest} meant?`}`
    })
}

/** The candidate that takes the fewest changed letters, if they are few. */
export function findNearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .sort((a, b) => a.distance - b.distance)
  const best = ranked[0]
  return best && best.distance <= Math.max(2, word.length / 4) ? best.candidate : undefined
}

function readValue(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined
}

// Levenshtein, row by row.
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 0; i < a.length; i++) {
    const row = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const substitution = (previous[j] as number) + (a[i] === b[j] ? 0 : 1)
      row.push(Math.min(substitution, (row[j] as number) + 1, (previous[j + 1] as number) + 1))
    }
    previous = row
  }
  return previous.at(-1) as number
}
