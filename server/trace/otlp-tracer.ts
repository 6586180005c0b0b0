// OtlpTracer: records spans with OpenTelemetry's SDK and sends them to a collector, as JSON over HTTP. The only file that
// uses the SDK, loaded only if traces are on. Nothing is registered globally, so libraries that could write messages of
// users into spans (the models' SDK can) find no tracer. The SDK reads its own variables (OTEL_…).
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Span as ApiSpan,
  type Tracer as ApiTracer,
  type Attributes,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base'
import { formatTraceparent, parseTraceparent } from '@parley/protocol'
import type { Span, SpanAttributes, SpanOptions, Tracer } from './tracer.ts'

export interface OtlpTracerOptions {
  readonly node: string
  readonly version: string
  /** Called after each export. @param error undefined if the collector accepted the spans */
  readonly onExport: (error: Error | undefined, spans: number) => void
}

export interface OtlpTracer extends Tracer {
  /** Sends the remaining spans, for at most so many milliseconds. Never rejects. */
  close(ms: number): Promise<void>
}

const SCOPE = 'parley'
const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const

/** @throws Error if a variable of the SDK is invalid */
export function createOtlpTracer({ node, version, onExport }: OtlpTracerOptions): OtlpTracer {
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': SCOPE, 'service.version': version, 'service.instance.id': node }))
    .merge(detectResources({ detectors: [envDetector] }))
  // The queue is limited (OTEL_BSP_MAX_QUEUE_SIZE, 2,048 spans); it drops further spans.
  const batches = new BatchSpanProcessor(reporting(new OTLPTraceExporter(), onExport))
  const provider = new BasicTracerProvider({ resource, spanProcessors: [batches] })
  const tracer = provider.getTracer(SCOPE, version)
  return {
    start: (name, options) => new OtlpSpan(tracer, name, options),
    async close(ms) {
      // onExport reports the reason of a failure.
      const shutdown = provider.shutdown().catch(() => undefined)
      await Promise.race([shutdown, sleep(ms, undefined, { ref: false })])
    },
  }
}

class OtlpSpan implements Span {
  readonly traceparent: string
  readonly span: ApiSpan

  constructor(tracer: ApiTracer, name: string, { kind, parent, attributes, from }: SpanOptions) {
    this.span = tracer.startSpan(
      name,
      { kind: KINDS[kind], attributes: attributes as Attributes, ...(from === undefined ? {} : { startTime: from }) },
      contextOf(parent),
    )
    const { traceId, spanId, traceFlags } = this.span.spanContext()
    this.traceparent = formatTraceparent({ traceId, spanId, flags: traceFlags })
  }

  set(attributes: SpanAttributes): void {
    if (this.span.isRecording()) this.span.setAttributes(attributes as Attributes)
  }

  event(name: string): void {
    if (this.span.isRecording()) this.span.addEvent(name)
  }

  failed(type: string): void {
    if (!this.span.isRecording()) return
    this.span.setAttribute('error.type', type)
    this.span.setStatus({ code: SpanStatusCode.ERROR })
  }

  end(at?: number): void {
    if (this.span.isRecording()) this.span.end(at)
  }
}

function contextOf(parent: Span | string | undefined) {
  if (parent instanceof OtlpSpan) return trace.setSpan(ROOT_CONTEXT, parent.span)
  const remote = parseTraceparent(typeof parent === 'string' ? parent : parent?.traceparent)
  if (remote === undefined) return ROOT_CONTEXT
  const { traceId, spanId, flags } = remote
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: flags, isRemote: true })
}

/** An exporter that reports the result of each export. */
function reporting(exporter: SpanExporter, onExport: OtlpTracerOptions['onExport']): SpanExporter {
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        onExport(
          result.code === 0 ? undefined : (result.error ?? new Error('The collector did not accept the spans.')),
          spans.length,
        )
        done(result)
      })
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  }
}
