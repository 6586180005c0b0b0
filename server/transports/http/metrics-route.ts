// GET /metrics: what this node measures of itself, for Prometheus. It tells nothing of anybody, but how much there is of
// everything, which is not for the world: who may ask is decided here.
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js'
import { createHash, timingSafeEqual } from 'node:crypto'
import { ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import { bearerOf } from './bearer.ts'
import { isLoopbackAddress } from './client-address.ts'
import { HttpError } from './http-error.ts'
import { reply, replyError } from './http-reply.ts'
import { isLoopbackName } from './origin.ts'

export interface MetricsRouteOptions {
  /** `local`: only who asks from this machine, and through no proxy. */
  readonly exposure: 'local' | 'on'
  /** With it everybody has to show it, wherever from. */
  readonly token: string | undefined
  readonly contentType: string
  readonly logger: Logger
  text(): Promise<string>
}

/** Where a proxy says that it is one. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'via', 'x-real-ip'] as const

export function serveMetrics(app: TemplatedApp, options: MetricsRouteOptions): void {
  app.get('/metrics', (response, request) => {
    const refusal = refusalOf(options, response, request)
    if (refusal !== undefined) {
      replyError(response, refusal)
      return
    }
    let isGone = false
    response.onAborted(() => {
      isGone = true
    })
    options.text().then(
      (text) => {
        const headers = { 'Content-Type': options.contentType, 'Cache-Control': 'no-store' }
        if (!isGone) reply(response, 200, headers, text)
      },
      (error: unknown) => {
        options.logger.error({ err: error }, 'the metrics could not be told')
        if (!isGone) replyError(response, new ReplyError('internal'))
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
  // A foreign name can be made to point here: then a page could read it.
  const isNamed = isLoopbackName(request.getHeader('host').replace(/:\d+$/, ''))
  const isForwarded = FORWARDED.some((header) => request.getHeader(header) !== '')
  // To others it is not there.
  return isLocal && isNamed && !isForwarded ? undefined : new HttpError('not_found')
}

/** In a time that tells nothing of where they differ. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
