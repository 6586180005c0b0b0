// The server's log: JSON lines on standard output. It carries no content of users and no secrets.
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
