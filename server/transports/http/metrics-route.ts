// GET /metrics: this node's metrics for Prometheus. They contain no user data, but the amounts are not public either, so
// this file checks who may read them.
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js'
import { createHash, timingSafeEqual } from 'node:crypto'
import { ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import { isLoopbackAddress } from './client-address.ts'
import { HttpError } from './http-error.ts'
import { reply, replyError } from './http-reply.ts'
import { bearerOf } from './http-request.ts'
import { isLoopbackName } from './origin.ts'

export interface MetricsRouteOptions {
  /** `local`: only requests from this machine that came through no proxy. */
  readonly exposure: 'local' | 'on'
  /** If set, every request must present it, also requests from this machine. */
  readonly token: string | undefined
  readonly contentType: string
  readonly logger: Logger
  text(): Promise<string>
}

/** Headers that proxies add. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'via', 'x-real-ip'] as const

export function serveMetrics(app: TemplatedApp, options: MetricsRouteOptions): void {
  app.get('/metrics', (response, request) => {
    const refusal = refusalOf(options, response, request)
    if (refusal !== undefined) {
      replyError(response, refusal)
      return
    }
    let isAborted = false
    response.onAborted(() => {
      isAborted = true
    })
    options.text().then(
      (text) => {
        const headers = { 'Content-Type': options.contentType, 'Cache-Control': 'no-store' }
        if (!isAborted) reply(response, 200, headers, text)
      },
      (error: unknown) => {
        options.logger.error({ err: error }, 'failed to render metrics')
        if (!isAborted) replyError(response, new ReplyError('internal'))
      },
    )
  })
  app.any('/metrics', (response, request) => {
    const refusal = refusalOf(options, response, request)
    replyError(response, refusal ?? new HttpError('method_not_allowed', undefined, { headers: { Allow: 'GET' } }))
  })
}

function refusalOf(
  { exposure, token }: MetricsRouteOptions,
  response: HttpResponse,
  request: HttpRequest,
): ReplyError | HttpError | undefined {
  if (token !== undefined) {
    return isSame(bearerOf(request.getHeader('authorization')) ?? '', token)
      ? undefined
      : new ReplyError('unauthenticated')
  }
  if (exposure === 'on') return undefined
  const isLocal = isLoopbackAddress(new Uint8Array(response.getRemoteAddress()))
  // A foreign host name can resolve to this address (DNS rebinding), and its pages could then read the metrics.
  const isNamed = isLoopbackName(request.getHeader('host').replace(/:\d+$/, ''))
  const isForwarded = FORWARDED.some((header) => request.getHeader(header) !== '')
  // Other clients do not learn that the route exists.
  return isLocal && isNamed && !isForwarded ? undefined : new HttpError('not_found')
}

/** Compares in constant time. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
