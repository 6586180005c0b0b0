// OtlpTracer: records spans with OpenTelemetry's SDK and sends them to a collector, in JSON over HTTP. The only file that knows the
// SDK, and loaded only where traces are wanted. Nothing is registered globally: libraries that would write what people say into
// spans (the models' SDK can) find no tracer. The SDK reads its own variables (OTEL_…), as it does everywhere.
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
  /** Spans were not taken. @param error what the exporter says; undefined: it took some again */
  readonly onExport: (error: Error | undefined, spans: number) => void
}

export interface OtlpTracer extends Tracer {
  /** Sends what is left, as far as it goes within so many milliseconds. Rejects never. */
  close(ms: number): Promise<void>
}

const SCOPE = 'parley'
const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const

/** @throws Error where one of the SDK's variables makes no sense to it */
export function createOtlpTracer({ node, version, onExport }: OtlpTracerOptions): OtlpTracer {
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': SCOPE, 'service.version': version, 'service.instance.id': node }))
    .merge(detectResources({ detectors: [envDetector] }))
  // Its queue has a bound (OTEL_BSP_MAX_QUEUE_SIZE, 2,048 spans): what does not fit is dropped.
  const batches = new BatchSpanProcessor(reporting(new OTLPTraceExporter(), onExport))
  const provider = new BasicTracerProvider({ resource, spanProcessors: [batches] })
  const tracer = provider.getTracer(SCOPE, version)
  return {
    start: (name, options) => new OtlpSpan(tracer, name, options),
    async close(ms) {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms)
      })
      // Why it was not taken is told by the exporter.
      await Promise.race([provider.shutdown().catch(() => undefined), late])
      clearTimeout(timer)
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

/** An exporter that says how it goes. */
function reporting(exporter: SpanExporter, onExport: OtlpTracerOptions['onExport']): SpanExporter {
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        onExport(result.code === 0 ? undefined : (result.error ?? new Error('The spans were not taken.')), spans.length)
        done(result)
      })
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  }
}
