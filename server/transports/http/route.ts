// Route: the handler for one method and path. Every path also answers OPTIONS, HEAD if it has a GET route, and 405 with
// an Allow header for all other methods.

import type { TemplatedApp } from '../uws.ts'
import type { ErrorShape } from './failure.ts'
import { HttpError } from './http-error.ts'
import type { HttpExchange } from './http-exchange.ts'
import { mayCall, type OriginRules, originError, preflightHeaders } from './origin.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Route {
  readonly method: Method
  /** Such as `/v1/sessions/:session/events`. */
  readonly path: string
  /** The same as another route, so the documents do not describe it. */
  readonly isAlias?: true
  /** Needs no access token, and pages of every origin may call it. */
  readonly open?: true
  /** The audience (`aud`) that its access tokens must have; default: that of the configuration. */
  readonly audience?: string
  /** An `EventSource` may read it: temporary refusals are sent as an event, so that it reconnects. */
  readonly events?: true
  /** Limit of the request's body in bytes; default 1 MiB. */
  readonly bodyBytes?: number
  /** Formats an error as a body; default `application/problem+json`. */
  readonly errors?: ErrorShape
  /**
   * Answers, or throws ReplyError, HttpError, StorageError or CursorLost, which the router turns into an answer. When it
   * returns, it has answered or has started a stream, which may continue.
   */
  handle(exchange: HttpExchange): void | Promise<void>
}

/** A route as it is registered with uWS. */
export interface MountedRoute {
  readonly route: Route
  readonly method: keyof Pick<TemplatedApp, 'get' | 'head' | 'post' | 'put' | 'patch' | 'del' | 'options' | 'any'>
  /** Names of the path parameters, in their order. */
  readonly names: readonly string[]
}

const METHODS = { GET: 'get', POST: 'post', PUT: 'put', PATCH: 'patch', DELETE: 'del' } as const

/** Adds the HEAD, OPTIONS and 405 routes of each path. */
export function withImplicitRoutes(routes: readonly Route[], origins: OriginRules): readonly MountedRoute[] {
  return [...new Set(routes.map(({ path }) => path))].flatMap((path) => {
    const here = routes.filter((route) => route.path === path)
    const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? '')
    const methods = here.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
    const isOpen = here.every((route) => route.open === true)
    const side = { path, open: true, ...(here[0]?.errors === undefined ? {} : { errors: here[0].errors }) } as const
    const preflight: Route = {
      ...side,
      method: 'GET',
      handle: (exchange) => answerPreflight(exchange, methods, isOpen ? undefined : origins),
    }
    const refusal: Route = { ...side, method: 'GET', handle: () => refuseMethod(methods) }
    return [
      ...here.map((route) => ({ route, method: METHODS[route.method], names })),
      ...here.filter(({ method }) => method === 'GET').map((route) => ({ route, method: 'head' as const, names })),
      { route: preflight, method: 'options' as const, names },
      { route: refusal, method: 'any' as const, names },
    ]
  })
}

/** @param origins rules for the calling page; undefined allows every origin */
function answerPreflight(exchange: HttpExchange, methods: readonly string[], origins: OriginRules | undefined): void {
  const { request } = exchange
  const origin = request.header('origin') ?? ''
  if (origins !== undefined && !mayCall(origins, origin, request.header('host') ?? ''))
    throw originError(origins, origin)
  const asked = request.header('access-control-request-headers') ?? ''
  exchange.reply(204, undefined, {
    ...allow(methods),
    ...(origin === '' ? {} : preflightHeaders(origin, asked, methods)),
  })
}

function refuseMethod(methods: readonly string[]): never {
  throw new HttpError('method_not_allowed', undefined, { headers: allow(methods) })
}

function allow(methods: readonly string[]) {
  return { Allow: [...methods, 'OPTIONS'].join(', ') }
}
