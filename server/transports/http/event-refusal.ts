// EventRefusal: a temporary refusal as a stream of one event. By the HTML standard (section 9.2.5) an EventSource never
// reconnects after any status but 200, so a 503 of a node that restarts would end it permanently.
import type { ServerFrame } from '@parley/protocol'
import { negotiate } from './accept.ts'
import type { Failure } from './failure.ts'
import type { HttpExchange } from './http-exchange.ts'

/** Statuses of refusals that may pass. */
const PASSING: ReadonlySet<number> = new Set([429, 503, 507])
const PROBLEM = /(?:^|,)\s*application\/problem\+json\s*(?:[;,]|$)/i
const EVENTS = /(?:^|,)\s*text\/event-stream\s*(?:,|$)/i
/** Range in milliseconds over which clients that were refused together are spread. */
const SPREAD_MS = 1_000
/** Milliseconds until the reconnect, if the refusal does not say. */
const RETRY_MS = 1_000
/** The longest wait that is asked of a client, in milliseconds: it also keeps the value for later reconnects. */
const RETRY_MAX_MS = 60_000

/**
 * Whether a GET that prefers server-sent events was refused only for now. A client that also accepts problems, such as
 * Parley's SDK, reads the status and gets the problem.
 */
export function isTemporaryRefusal({ request }: HttpExchange, { status, retryable }: Failure): boolean {
  if (request.method !== 'GET' || !retryable || !PASSING.has(status)) return false
  const accept = request.header('accept')
  if (accept === undefined || !EVENTS.test(accept) || PROBLEM.test(accept)) return false
  // Older SDKs do not say that they accept problems.
  const isSdk = ['parley-door', 'parley-client'].some((name) => request.header(name) !== undefined)
  if (isSdk && request.header('parley-connection') !== undefined) return false
  return negotiate(accept, ['application/json', 'text/event-stream']) === 'text/event-stream'
}

/**
 * Answers 200 with `retry` and one event, `goaway` or `notice`, then closes the connection without a clean end, because
 * the answer is incomplete.
 */
export function refuseByEvent(exchange: HttpExchange, failure: Failure): void {
  const { code, title, detail = title, retryable, headers } = failure
  const after = headers['Retry-After']
  const waitMs = after === undefined ? RETRY_MS : Math.min(Number(after) * 1_000, RETRY_MAX_MS)
  const retry = waitMs + Math.floor(Math.random() * SPREAD_MS)
  const frame =
    code === 'going_away'
      ? ({ type: 'goaway', reason: detail, reconnectAfterMs: retry } satisfies ServerFrame)
      : { type: 'error', code, message: detail, retryable, retryAfterMs: retry }
  const stream = exchange.stream(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'X-Accel-Buffering': 'no',
  })
  const event = frame.type === 'goaway' ? 'goaway' : 'notice'
  stream.write(`retry: ${retry}\nevent: ${event}\ndata: ${JSON.stringify(frame)}\n\n`)
  stream.abort()
}
