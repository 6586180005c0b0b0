// Route: what answers one method at one address. Every address also answers OPTIONS, HEAD where it answers GET, and says
// which methods it takes to whoever comes with another.

import type { TemplatedApp } from 'uWebSockets.js'
import { ReplyError } from '@parley/protocol'
import { mayCall, preflightHeaders } from './cors.ts'
import type { ErrorShape } from './failure.ts'
import { HttpError } from './http-error.ts'
import type { HttpExchange } from './http-exchange.ts'
import type { OriginRules } from './origin.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Route {
  readonly method: Method
  /** Such as `/v1/sessions/:session/events`. */
  readonly path: string
  /** Needs no token, and may be asked for by any page. */
  readonly open?: true
  /** How an error becomes a body; default `application/problem+json`. */
  readonly errors?: ErrorShape
  /**
   * Answers, or throws what an answer is made of: ReplyError, HttpError, StorageError, CursorLost. When it returns, the
   * answer was given or a stream was begun; the stream may go on.
   */
  handle(exchange: HttpExchange): void | Promise<void>
}

/** A route as uWS is told of it. */
export interface Mounted {
  readonly route: Route
  readonly method: keyof Pick<TemplatedApp, 'get' | 'head' | 'post' | 'put' | 'patch' | 'del' | 'options' | 'any'>
  /** Of the path's parameters, in their order. */
  readonly names: readonly string[]
}

const METHODS = { GET: 'get', POST: 'post', PUT: 'put', PATCH: 'patch', DELETE: 'del' } as const

export function mounted(routes: readonly Route[], origins: OriginRules): readonly Mounted[] {
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

export function foreignPage(): ReplyError {
  return new ReplyError('forbidden', 'Pages of this origin or host may not call.')
}

/** @param origins that are asked whether its page may call; undefined: any may */
function answerPreflight(exchange: HttpExchange, methods: readonly string[], origins: OriginRules | undefined): void {
  const { request } = exchange
  const origin = request.header('origin') ?? ''
  if (origins !== undefined && !mayCall(origins, origin, request.header('host') ?? '')) throw foreignPage()
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
