// GET /metrics: this node's metrics for Prometheus. They contain no user data, but the amounts are not public either. On the
// port of the clients, every reader needs the token: neither a loopback peer nor a Host header proves that a request came
// through no proxy. Readers without a token use a port of their own (metrics-listener.ts).
import { createHash, timingSafeEqual } from 'node:crypto'
import { ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import type { HttpRequest, HttpResponse, TemplatedApp } from '../uws.ts'
import { HttpError } from './http-error.ts'
import { reply, replyError } from './http-reply.ts'
import { bearerOf } from './http-request.ts'

export interface MetricsSource {
  readonly contentType: string
  readonly logger: Logger
  text(): Promise<string>
}

export interface MetricsRouteOptions extends MetricsSource {
  /** Every request must present it. */
  readonly token: string
}

export function serveMetrics(app: TemplatedApp, options: MetricsRouteOptions): void {
  app.get('/metrics', (response, request) => {
    if (refuses(options.token, response, request)) return
    let isAborted = false
    response.onAborted(() => {
      isAborted = true
    })
    renderMetrics(options).then(
      (text) => {
        const headers = { 'Content-Type': options.contentType, 'Cache-Control': 'no-store' }
        if (!isAborted) reply(response, 200, headers, text)
      },
      (error: ReplyError) => {
        if (!isAborted) replyError(response, error)
      },
    )
  })
  app.any('/metrics', (response) => replyError(response, onlyGet()))
}

/** @throws ReplyError internal */
export async function renderMetrics({ text, logger }: MetricsSource): Promise<string> {
  try {
    return await text()
  } catch (error) {
    logger.error({ err: error }, 'failed to render metrics')
    throw new ReplyError('internal', undefined, { cause: error })
  }
}

/** Compares the bearer token of an Authorization header in constant time. */
export function hasToken(authorization: string | undefined, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(bearerOf(authorization) ?? ''), digest(token))
}

export function onlyGet(): HttpError {
  return new HttpError('method_not_allowed', undefined, { headers: { Allow: 'GET' } })
}

/** Answers a request without the token. @returns whether it did */
function refuses(token: string, response: HttpResponse, request: HttpRequest): boolean {
  if (hasToken(request.getHeader('authorization'), token)) return false
  replyError(response, new ReplyError('unauthenticated'))
  return true
}
