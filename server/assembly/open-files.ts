// The limit of open files. Each connection needs a descriptor; on a worker, each request to a model provider.
import { readFileSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'

/** Files, connections to NATS, and those of the runs that a node drives besides its clients. */
const OTHERS = 256

/** @returns undefined if there is no limit, or if the system does not tell: only Linux does */
export function openFilesLimit(path = '/proc/self/limits'): number | undefined {
  let limits: string
  try {
    limits = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  const [, soft] = /^Max open files +(\d+)/m.exec(limits) ?? []
  return soft === undefined ? undefined : Number(soft)
}

/** Warns if the configured limits need more files than the system allows. */
export function checkOpenFiles(
  { role, maxConnections, runConcurrency }: Pick<Config, 'role' | 'maxConnections' | 'runConcurrency'>,
  logger: Logger,
  limit = openFilesLimit(),
): void {
  const needed = (role === 'worker' ? runConcurrency : maxConnections) + OTHERS
  if (limit !== undefined && limit < needed) logger.warn({ limit, needed }, 'the limit of open files is too low')
}
