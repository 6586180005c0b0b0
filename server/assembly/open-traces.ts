// openTraces: the tracer of a node, if traces are configured. The tracing packages are loaded only then.
import type { Config } from '../config/config.ts'
import { version } from '../config/version.ts'
import type { OtlpTracer } from '../trace/otlp-tracer.ts'

interface ReportLogger {
  warn(fields: object, text: string): void
  info(fields: object, text: string): void
}

/** Minimum time in milliseconds between two warnings. */
const WARN_INTERVAL_MS = 60_000

/** @returns undefined if traces are off */
export async function openTraces(
  { traces, node }: Pick<Config, 'traces' | 'node'>,
  logger: ReportLogger,
): Promise<OtlpTracer | undefined> {
  if (traces === 'off') return undefined
  const { createOtlpTracer } = await import('../trace/otlp-tracer.ts')
  return createOtlpTracer({ node, version: version(), onExport: exportReporter(logger) })
}

/** Warns at most once a minute with the number of lost spans, and logs the recovery once. */
export function exportReporter(
  logger: ReportLogger,
  now = () => performance.now(),
): (error: Error | undefined, spans: number) => void {
  let lost = 0
  let warnedAt: number | undefined
  return (error, spans) => {
    if (error === undefined) {
      if (warnedAt !== undefined) logger.info({ lost }, 'trace export recovered')
      warnedAt = undefined
      lost = 0
      return
    }
    lost += spans
    if (warnedAt !== undefined && now() - warnedAt < WARN_INTERVAL_MS) return
    warnedAt = now()
    logger.warn({ reason: error.message, lost }, 'trace export failed')
  }
}
