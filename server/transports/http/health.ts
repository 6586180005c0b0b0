// Health checks: /healthz says whether the process is alive, /readyz whether it is ready for traffic. Also the answer to
// unknown paths.
import { ReplyError } from '@parley/protocol'
import type { HttpResponse, TemplatedApp } from '../uws.ts'
import type { ErrorShape } from './failure.ts'
import { HttpError } from './http-error.ts'
import { replyError, replyJson } from './http-reply.ts'
import { replyNotFoundPage } from './site.ts'

/** `unavailable`: nothing can be stored, or the log has been unreachable for a while: send clients elsewhere. */
export type Readiness = 'ready' | 'stopping' | 'unavailable'

const PROBLEMS = {
  stopping: new ReplyError('going_away'),
  unavailable: new ReplyError('unavailable', 'This node cannot store anything at the moment.', { retryAfterMs: 5_000 }),
} as const

const METHODS = 'GET, HEAD'

/** Replaces `application/problem+json` as the format of the error for an unknown path, and names what exists. */
export interface UnknownPath {
  readonly shape: ErrorShape
  readonly detail: string
}

/**
 * @param readiness never rejects
 * @param unknownPath returns the error of an unknown path; undefined: `application/problem+json`
 */
export function serveHealth(
  app: TemplatedApp,
  readiness: () => Readiness | Promise<Readiness>,
  unknownPath: (path: string) => UnknownPath | undefined = () => undefined,
): void {
  serve(app, '/healthz', (response, bodiless) => replyStatus(response, 'ok', bodiless))
  serve(app, '/readyz', async (response, bodiless) => {
    let isAborted = false
    response.onAborted(() => {
      isAborted = true
    })
    const state = await readiness()
    if (isAborted) return
    if (state === 'ready') replyStatus(response, 'ready', bodiless)
    else replyError(response, PROBLEMS[state], bodiless)
  })
  app.any('/*', (response, request) => {
    const { detail, shape } = unknownPath(request.getUrl()) ?? {}
    const bodiless = request.getMethod() === 'head'
    // Only browsers name it.
    if (request.getHeader('accept').includes('text/html')) replyNotFoundPage(response, bodiless)
    else replyError(response, new HttpError('not_found', detail), bodiless, shape)
  })
}

function serve(
  app: TemplatedApp,
  path: string,
  answer: (response: HttpResponse, bodiless: boolean) => void | Promise<void>,
): void {
  app.get(path, (response) => void answer(response, false))
  // Some load balancers probe with HEAD.
  app.head(path, (response) => void answer(response, true))
  app.any(path, (response) => {
    replyError(response, new HttpError('method_not_allowed', undefined, { headers: { Allow: METHODS } }))
  })
}

function replyStatus(response: HttpResponse, status: 'ok' | 'ready', bodiless: boolean): void {
  replyJson(response, 200, { status }, {}, bodiless)
}
