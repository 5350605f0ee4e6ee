/** One line of the log: what happened, and the facts that belong to it. Never a patient attribute. */
export type LogFacts = Record<string, string | number | boolean | undefined>

/** Where a room says what happens. Built once, in the command; tests hand in one of their own. */
export type Log = {
  debug(message: string, facts?: LogFacts): void
  info(message: string, facts?: LogFacts): void
  warn(message: string, facts?: LogFacts): void
  error(message: string, facts?: LogFacts): void
}

/** From the most talkative to the most silent; `STOWAGE_LOG_LEVEL` names the lowest that is written. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** For people, for machines, or for whoever reads standard error. */
export const LOG_FORMATS = ['auto', 'text', 'json'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

/**
 * Makes a log that writes one line for each entry: instant, level, message, then `key=value` facts.
 *
 * Line breaks inside a message or fact are escaped, so that nobody can forge an entry by sending one.
 */
export function createLog(level: LogLevel, write: (line: string) => void = writeToStderr): Log {
  const lowest = LOG_LEVELS.indexOf(level)
  function at(name: LogLevel) {
    if (LOG_LEVELS.indexOf(name) < lowest) return () => {}
    return (message: string, facts: LogFacts = {}) => {
      write(
        `${new Date().toISOString()} ${name.padEnd(5)} ${oneLine(message)}${renderFacts(facts)}`,
      )
    }
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** A log that says nothing: for commands whose output is the answer, and for tests. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

/**
 * What the log may say of an error: name, code and message, down to the first cause.
 *
 * Never what Postgres adds in detail, nor the message of a failed query of drizzle's: those hold the
 * values that somebody searched for (P10).
 */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { cause, name } = error
  const code = (error as { code?: string }).code
  const message = 'query' in error && 'params' in error ? 'a query failed' : error.message
  return `${name}${code ? ` ${code}` : ''}: ${message}${cause ? ` <- ${describeError(cause)}` : ''}`
}

// Standard error, because standard output belongs to the answer of a command (`stowage check | jq`).
export function writeToStderr(line: string): void {
  process.stderr.write(`${line}\n`)
}

function renderFacts(facts: LogFacts): string {
  return Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${quoteIfNeeded(String(value))}`)
    .join('')
}

function quoteIfNeeded(text: string): string {
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, '\\n')
}
