// openTraces: a node's traces, where its configuration wants them. What they take is loaded only then.
import type { Config } from '../config/config.ts'
import { version } from '../config/version.ts'
import type { OtlpTracer } from '../trace/otlp-tracer.ts'

interface Saying {
  warn(fields: object, text: string): void
  info(fields: object, text: string): void
}

/** Milliseconds between two lines about the same trouble. */
const SAID_MS = 60_000

/** @returns undefined when nothing is to be recorded */
export async function openTraces(
  { traces, node }: Pick<Config, 'traces' | 'node'>,
  logger: Saying,
): Promise<OtlpTracer | undefined> {
  if (traces === 'off') return undefined
  const { createOtlpTracer } = await import('../trace/otlp-tracer.ts')
  return createOtlpTracer({ node, version: version(), onExport: exportReporter(logger) })
}

/** Says once a minute at most that spans are lost, and how many; and once that they are taken again. */
export function exportReporter(
  logger: Saying,
  now = () => performance.now(),
): (error: Error | undefined, spans: number) => void {
  let lost = 0
  let saidAt: number | undefined
  return (error, spans) => {
    if (error === undefined) {
      if (saidAt !== undefined) logger.info({ lost }, 'traces are taken again')
      saidAt = undefined
      lost = 0
      return
    }
    lost += spans
    if (saidAt !== undefined && now() - saidAt < SAID_MS) return
    saidAt = now()
    logger.warn({ reason: error.message, lost }, 'traces are not taken: spans are lost')
  }
}
