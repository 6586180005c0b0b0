// The router: routes on a uWS app. What holds for every request is done here, once: who may call, how often, who it is;
// what an error becomes; and what is open when the node stops.

import type { HttpResponse, TemplatedApp, HttpRequest as UwsRequest } from 'uWebSockets.js'
import { Id, ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import type { Authenticator } from '../../auth/authenticator.ts'
import { TokenClock } from '../../auth/token-clock.ts'
import type { Experiment } from '../../experiment/experiment.ts'
import type { CommandGate } from '../../limit/command-gate.ts'
import type { CommandRateLimits, CommandVerdict } from '../../limit/command-rate.ts'
import type { ConnectionCount } from '../../limit/connection-count.ts'
import { RequestRate } from '../../limit/request-rate.ts'
import type { TransportMetrics } from '../../metric/transport-metrics.ts'
import { OutboxFlusher } from '../feed/outbox-flusher.ts'
import { bearerOf } from './bearer.ts'
import type { TrustedProxies } from './client-address.ts'
import { mayCall } from './cors.ts'
import { asProblem, failureOf, isFault, tooMany } from './failure.ts'
import type { BodyLimits } from './http-body.ts'
import { type ExchangePorts, type Leaving, ResponseExchange } from './http-exchange.ts'
import { RequestSnapshot } from './http-request.ts'
import type { OriginRules } from './origin.ts'
import { foreignPage, mounted, type Route } from './route.ts'
import { StreamKeeper } from './stream-keeper.ts'

export interface HttpOptions {
  readonly authenticator: Authenticator
  readonly origins: OriginRules
  /** Requests that are not answered yet count as connections do. */
  readonly connections: ConnectionCount
  /** Of one user; where all are anonymous, of one address. */
  readonly requests: CommandRateLimits
  /** Of one user, and from one address, over every door. */
  readonly gate?: CommandGate | undefined
  /** Whom to believe for whom they speak. */
  readonly proxies?: TrustedProxies | undefined
  readonly body: BodyLimits
  /** Bytes unsent above which a stream has to catch up from the log. */
  readonly outboxBytes: number
  /** Milliseconds for which a client may take nothing of what waits for it. */
  readonly stallMs: number
  /** Milliseconds after which a stream on which nothing was sent gets a sign of life. */
  readonly heartbeatMs: number
  readonly logger: Logger
  readonly metrics?: TransportMetrics | undefined
  /** Left out: there is none. */
  readonly experiment?: Experiment | undefined
}

export interface HttpDoor {
  /** Requests that are not answered yet, streams among them. */
  readonly requests: number
  readonly streams: number
  /** Bytes that wait for streams' sockets. */
  readonly unsentBytes: number
  /** Asks everybody to come back elsewhere within so many milliseconds. What is new is refused as its route sees fit. */
  drain(reason: string, withinMs: number): void
  /** Resolves when nothing is open, or after so many milliseconds. */
  emptied(waitMs: number): Promise<void>
  /** Cuts all that is open. */
  close(): void
}

/** What is told to wait who did not wait when told before. */
const OUT_OF_PATIENCE_MS = 60_000

export function serveRoutes(app: TemplatedApp, routes: readonly Route[], options: HttpOptions): HttpDoor {
  const { authenticator, origins, connections, logger, metrics } = options
  const rate = new RequestRate(options.requests)
  const keeper = new StreamKeeper(options)
  const exchanges = new Set<ResponseExchange>()
  let leaving: Leaving | undefined
  let whenEmpty: (() => void) | undefined

  const ports: ExchangePorts = {
    outboxBytes: options.outboxBytes,
    flush: new OutboxFlusher(),
    logger,
    congested: (stream) => keeper.slow(stream),
    opened: (stream) => keeper.open(stream),
    leaving: () => leaving,
    ended(exchange) {
      const stream = exchange.streaming
      if (stream !== undefined) keeper.closed(stream)
      if (!exchanges.delete(exchange)) return
      connections.leave(exchange.request.address)
      if (exchanges.size === 0) whenEmpty?.()
    },
  }

  function take(route: Route, names: readonly string[]) {
    return (response: HttpResponse, uwsRequest: UwsRequest): void => {
      try {
        begin(route, names, response, uwsRequest)
      } catch (error) {
        // uWS ends the process when a handler returns without an answer. A request that is not understood is not worth that.
        logger.error({ err: error, path: route.path }, 'a request could not be read')
        response.close()
      }
    }
  }

  function begin(route: Route, names: readonly string[], response: HttpResponse, uwsRequest: UwsRequest): void {
    const request = new RequestSnapshot(response, uwsRequest, names, options.body, options.proxies)
    const origin = request.header('origin') ?? ''
    const allowed = route.open === true || mayCall(origins, origin, request.header('host') ?? '')
    const exchange = new ResponseExchange(response, request, allowed ? origin : '', ports)
    if (metrics !== undefined) {
      const began = performance.now()
      exchange.onAnswer((status) => {
        metrics.answered(route.method, route.path, status, (performance.now() - began) / 1000)
      })
    }
    const entered = connections.enter(request.address)
    if (entered === 'entered') exchanges.add(exchange)
    handle(route, exchange, allowed, entered).catch((error: unknown) => {
      logger.error({ err: error, request: request.id }, 'an answer could not be given')
      exchange.cut()
    })
  }

  async function handle(
    route: Route,
    exchange: ResponseExchange,
    allowed: boolean,
    entered: ReturnType<ConnectionCount['enter']>,
  ): Promise<void> {
    const { request } = exchange
    try {
      if (entered !== 'entered') {
        logger.warn({ limit: entered }, 'too many connections')
        throw tooMany(entered)
      }
      if (!allowed) throw foreignPage()
      if (request.refused !== undefined) throw request.refused
      if (route.open !== true) {
        const identity = await authenticator.authenticate(bearerOf(request.header('authorization')))
        request.identify(identity, options.experiment?.assign(identity.user, clientOf(request)))
        const asker = authenticator.required ? request.user : request.address
        const verdict = rate.judge(asker, performance.now())
        if (verdict.kind !== 'take') throw tooFast(verdict)
        const waitMs = options.gate?.wait(authenticator.required ? request.user : undefined, request.address) ?? 0
        if (waitMs > 0) throw new ReplyError('rate_limited', undefined, { retryAfterMs: waitMs })
      }
      const held = route.handle(exchange)
      const clock = tokenClock(route, exchange)
      try {
        await held
      } finally {
        clock?.stop()
      }
    } catch (error) {
      // Who was not counted may not stay, either.
      await refuse(route, exchange, error, entered !== 'entered')
    }
  }

  /** Whoever still waits for an answer when the time of its token is over gets none. */
  function tokenClock(route: Route, exchange: ResponseExchange): TokenClock | undefined {
    const { until } = exchange.request
    if (until === undefined || exchange.over) return undefined
    const expired = (): void => {
      if (exchange.over) return
      const error = new ReplyError('unauthenticated', 'The time of the token is over.')
      refuse(route, exchange, error, false).catch((cause: unknown) => {
        logger.error({ err: cause, request: exchange.request.id }, 'an answer could not be given')
        exchange.cut()
      })
    }
    const clock = new TokenClock({ expiring: () => undefined, expired })
    clock.start(until)
    return clock
  }

  async function refuse(route: Route, exchange: ResponseExchange, error: unknown, atOnce: boolean): Promise<void> {
    const { request } = exchange
    if (isFault(error)) {
      logger.error({ err: error, request: request.id, method: route.method, path: route.path }, 'a request failed')
    }
    if (exchange.over) {
      // It is in the midst of its answer: that this breaks off tells the client to come back.
      exchange.cut()
      return
    }
    const failure = failureOf(error)
    metrics?.refused('http', failure.code, request.experiment?.variant)
    // Who is answered while still sending may never read it.
    const closes = atOnce || failure.closes
    if (!closes) await request.body.heard()
    const { body, contentType, status = failure.status } = (route.errors ?? asProblem)(failure, request.id)
    const headers = { ...failure.headers, 'Content-Type': contentType }
    if (closes) exchange.replyAndClose(status, JSON.stringify(body), headers)
    else exchange.replyWith(status, JSON.stringify(body), headers)
  }

  for (const { route, method, names } of mounted(routes, origins)) {
    app[method](route.path, take(route, names))
  }

  return {
    get requests() {
      return exchanges.size
    },

    get streams() {
      return keeper.size
    },

    get unsentBytes() {
      return keeper.unsentBytes
    },

    drain(reason, withinMs) {
      if (leaving !== undefined) return
      leaving = { reason, withinMs }
      for (const exchange of [...exchanges]) exchange.tellLeaving(leaving)
    },

    async emptied(waitMs) {
      if (exchanges.size === 0) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs)
        whenEmpty = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    },

    close() {
      leaving ??= { reason: 'the node stops', withinMs: 0 }
      keeper.close()
      for (const exchange of [...exchanges]) exchange.cut()
    },
  }
}

/** The id that a client keeps; for metrics alone: what is none is passed over. */
function clientOf(request: RequestSnapshot): string | undefined {
  return Id.safeParse(request.header('parley-client')).data
}

function tooFast(verdict: Exclude<CommandVerdict, { kind: 'take' }>): ReplyError {
  return new ReplyError('rate_limited', undefined, {
    retryAfterMs: verdict.kind === 'refuse' ? verdict.retryAfterMs : OUT_OF_PATIENCE_MS,
  })
}
