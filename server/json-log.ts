import { pino, stdTimeFunctions } from 'pino'
import { type Log, type LogLevel, writeToStderr } from './log.ts'

/**
 * Makes a log that writes each entry as one line of JSON: `time`, `level`, `message`, and its facts as members.
 *
 * @param base Members of every entry.
 */
export function createJsonLog(
  level: LogLevel,
  base: Record<string, string | number> = {},
  write: (line: string) => void = writeToStderr,
): Log {
  const logger = pino(
    {
      level,
      base,
      messageKey: 'message',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => write(line.trimEnd()) },
  )
  const at = (name: LogLevel): Log['info'] => {
    if (!logger.isLevelEnabled(name)) return () => {}
    return (message, facts = {}) => logger[name](facts, message)
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
