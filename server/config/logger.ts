// The server's logger: JSON lines on standard output. They contain neither messages of users nor secrets.
import { type Logger, pino } from 'pino'

export type { Logger }

export function createLogger(level: string, node: string): Logger {
  return pino({
    level,
    base: { node },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  })
}
