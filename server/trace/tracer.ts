// Tracer: what the server wants of distributed tracing, whoever records it. Where nothing is recorded there is no tracer at all:
// whoever holds one asks for `undefined` once a command or a model call, and never at a token.

export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>

export interface SpanOptions {
  /** `server`: somebody else waits for it; `client`: it waits for somebody else. */
  readonly kind: 'server' | 'client' | 'internal'
  /** What it is a part of: a span of this process, or a `traceparent`. What is none begins a trace of its own. */
  readonly parent: Span | string | undefined
  readonly attributes: SpanAttributes
  /** Unix milliseconds; left out: now. */
  readonly from?: number
}

/** Nothing of it throws, and what comes after its end is ignored. */
export interface Span {
  /** For those who go on from here, on this node or on another. */
  readonly traceparent: string
  set(attributes: SpanAttributes): void
  event(name: string): void
  /** @param type one of few, as `error.type` wants it */
  failed(type: string): void
  /** @param at Unix milliseconds; left out: now */
  end(at?: number): void
}

export interface Tracer {
  start(name: string, options: SpanOptions): Span
}
