// Tracer: the server's interface to distributed tracing. If traces are off, there is no tracer: callers check for
// `undefined` once per command or model call, and never per token.

export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>

export interface SpanOptions {
  /** `server`: a caller waits for it. `client`: it waits for another service. */
  readonly kind: 'server' | 'client' | 'internal'
  /** A span of this process, or a `traceparent`. Undefined or invalid: the span starts a new trace. */
  readonly parent: Span | string | undefined
  readonly attributes: SpanAttributes
  /** Unix milliseconds; default now. */
  readonly from?: number
}

/** Its methods never throw, and are ignored after `end`. */
export interface Span {
  /** The parent of spans that continue this trace, on this node or another one. */
  readonly traceparent: string
  set(attributes: SpanAttributes): void
  event(name: string): void
  /** @param type value of `error.type`, from a small set */
  failed(type: string): void
  /** @param at Unix milliseconds; default now */
  end(at?: number): void
}

export interface Tracer {
  start(name: string, options: SpanOptions): Span
}
