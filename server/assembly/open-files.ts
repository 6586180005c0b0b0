// The limit of open files. Each connection needs a descriptor; on a worker, each request to a model provider; on a relay, both
// sides of a response.
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
  config: Pick<Config, 'role' | 'maxConnections' | 'runConcurrency' | 'relayStreams'>,
  logger: Logger,
  limit = openFilesLimit(),
): void {
  const needed = connectionsOf(config) + OTHERS
  if (limit !== undefined && limit < needed) logger.warn({ limit, needed }, 'the limit of open files is too low')
}

function connectionsOf({
  role,
  maxConnections,
  runConcurrency,
  relayStreams,
}: Parameters<typeof checkOpenFiles>[0]): number {
  if (role === 'relay') return 2 * relayStreams
  return role === 'worker' ? runConcurrency : maxConnections
}
