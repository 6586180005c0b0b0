// TraceCollector: receives OpenTelemetry spans from nodes as OTLP JSON over HTTP. Keeps every span and every received
// byte.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

type Value = string | number | boolean | undefined

export interface CollectedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  /** '' for the root span of a trace. */
  readonly parent: string
  /** 1: internal, 2: server, 3: client. */
  readonly kind: number
  /** 2: error. */
  readonly status: number
  /** The process that sent the span. */
  readonly node: Value
  readonly service: Value
  readonly attributes: Readonly<Record<string, Value>>
  readonly events: readonly string[]
  /** Unix milliseconds. */
  readonly start: number
  readonly end: number
}

interface KeyValue {
  readonly key: string
  readonly value: { stringValue?: string; intValue?: number | string; doubleValue?: number; boolValue?: boolean }
}

interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] }
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[]
  }[]
}

interface SentSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly kind: number
  readonly status?: { readonly code?: number }
  readonly attributes?: readonly KeyValue[]
  readonly events?: readonly { readonly name: string }[]
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
}

export class TraceCollector {
  readonly spans: CollectedSpan[] = []
  /** All received bodies. */
  text = ''
  /** Method, path and content type of all requests. */
  readonly paths = new Set<string>()
  readonly #server: Server

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#take(request).then(
        () => response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}'),
        () => response.writeHead(400).end(),
      )
    })
  }

  static async start(): Promise<TraceCollector> {
    const collector = new TraceCollector()
    collector.#server.listen(0, '127.0.0.1')
    await once(collector.#server, 'listening')
    return collector
  }

  /** The value for a node's OTEL_EXPORTER_OTLP_ENDPOINT. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  named(name: string): CollectedSpan[] {
    return this.spans.filter((span) => span.name === name)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #take(request: IncomingMessage): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    this.paths.add(`${request.method} ${request.url} ${request.headers['content-type']}`)
    this.text += body
    for (const { resource, scopeSpans } of (JSON.parse(body) as Sent).resourceSpans) {
      const resourceAttributes = asRecord(resource.attributes)
      for (const { spans } of scopeSpans) for (const span of spans) this.spans.push(collected(span, resourceAttributes))
    }
  }
}

function collected(span: SentSpan, resource: Readonly<Record<string, Value>>): CollectedSpan {
  return {
    name: span.name,
    traceId: span.traceId,
    spanId: span.spanId,
    parent: span.parentSpanId ?? '',
    kind: span.kind,
    status: span.status?.code ?? 0,
    node: resource['service.instance.id'],
    service: resource['service.name'],
    attributes: asRecord(span.attributes ?? []),
    events: (span.events ?? []).map(({ name }) => name),
    start: Number(BigInt(span.startTimeUnixNano) / 1_000n) / 1_000,
    end: Number(BigInt(span.endTimeUnixNano) / 1_000n) / 1_000,
  }
}

function asRecord(attributes: readonly KeyValue[]): Record<string, Value> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const { stringValue, intValue, doubleValue, boolValue } = value
      return [key, stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue) : Number(intValue))]
    }),
  )
}
