// The router: mounts routes on a uWS app. It does the work that all requests share: origin check, authentication, rate
// limits, error answers, and draining when the node shuts down.

import { setTimeout as sleep } from 'node:timers/promises'
import { Id, ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import type { Authenticator } from '../../auth/authenticator.ts'
import type { Experiment } from '../../experiment/experiment.ts'
import { ByteBudget } from '../../limit/byte-budget.ts'
import type { CommandGate } from '../../limit/command-gate.ts'
import type { CommandRateLimits, CommandVerdict } from '../../limit/command-rate.ts'
import type { ConnectionCount } from '../../limit/connection-count.ts'
import { RequestRate } from '../../limit/request-rate.ts'
import type { TransportMetrics } from '../../metric/transport-metrics.ts'
import { OutboxFlusher } from '../feed/outbox-flusher.ts'
import type { HttpResponse, TemplatedApp, HttpRequest as UwsRequest } from '../uws.ts'
import type { TrustedProxies } from './client-address.ts'
import { isTemporaryRefusal, refuseByEvent } from './event-refusal.ts'
import { asProblem, failureOf, isFault, tooManyConnections } from './failure.ts'
import type { BodyLimits } from './http-body.ts'
import { type DrainNotice, type ExchangePorts, ResponseExchange } from './http-exchange.ts'
import { bearerOf, RequestSnapshot } from './http-request.ts'
import { mayCall, type OriginRules, originError } from './origin.ts'
import { type Route, withImplicitRoutes } from './route.ts'
import { StreamSupervisor } from './stream-supervisor.ts'

export interface HttpOptions {
  readonly authenticator: Authenticator
  readonly origins: OriginRules
  /** Unanswered requests count as connections. */
  readonly connections: ConnectionCount
  /** Rate limit of one user, or of one address if all users are anonymous. */
  readonly requests: CommandRateLimits
  /** Rate limits of a user and of an address, over all transports. */
  readonly gate?: CommandGate | undefined
  readonly proxies?: TrustedProxies | undefined
  readonly body: BodyLimits
  /** Unsent bytes above which a stream falls behind and must catch up from the log. */
  readonly outboxBytes: number
  /** Milliseconds after which a stream is closed if its client accepts no data. */
  readonly stallMs: number
  /** Milliseconds of silence after which a stream gets a heartbeat. */
  readonly heartbeatMs: number
  readonly logger: Logger
  readonly metrics?: TransportMetrics | undefined
  readonly experiment?: Experiment | undefined
}

export interface HttpTransport {
  /** Number of unanswered requests and open streams. */
  readonly requests: number
  readonly streams: number
  /** Bytes that wait for the sockets of slow streams. */
  readonly unsentBytes: number
  /** Asks clients to reconnect to another node, spread over `withinMs`. Each route decides whether it refuses new requests. */
  drain(reason: string, withinMs: number): void
  /** Resolves when no request is open, or after `waitMs`. */
  emptied(waitMs: number): Promise<void>
  /** Closes the connections of all open requests. */
  close(): void
}

/** Retry-After for a client that has ignored earlier Retry-After headers. */
const IGNORED_RETRY_MS = 60_000

export function serveRoutes(app: TemplatedApp, routes: readonly Route[], options: HttpOptions): HttpTransport {
  const { authenticator, origins, connections, logger, metrics } = options
  const rate = new RequestRate(options.requests)
  const supervisor = new StreamSupervisor(options)
  const exchanges = new Set<ResponseExchange>()
  let draining: DrainNotice | undefined
  let whenEmpty: (() => void) | undefined

  const ports: ExchangePorts = {
    outboxBytes: options.outboxBytes,
    flush: new OutboxFlusher(),
    logger,
    unread: new ByteBudget(options.body.budget.max),
    congested: (stream) => supervisor.congested(stream),
    opened: (stream) => supervisor.open(stream),
    draining: () => draining,
    ended(exchange) {
      const stream = exchange.streaming
      if (stream !== undefined) supervisor.closed(stream)
      if (!exchanges.delete(exchange)) return
      connections.leave(exchange.request.address)
      if (exchanges.size === 0) whenEmpty?.()
    },
  }

  function handler(route: Route, names: readonly string[]) {
    return (response: HttpResponse, uwsRequest: UwsRequest): void => {
      try {
        begin(route, names, response, uwsRequest)
      } catch (error) {
        // uWS ends the process if a handler throws or returns without an answer.
        logger.error({ err: error, path: route.path }, 'failed to read a request')
        response.close()
      }
    }
  }

  function begin(route: Route, names: readonly string[], response: HttpResponse, uwsRequest: UwsRequest): void {
    const limits = route.bodyBytes === undefined ? options.body : { ...options.body, bytes: route.bodyBytes }
    const request = new RequestSnapshot(response, uwsRequest, names, limits, options.proxies)
    const origin = request.header('origin') ?? ''
    const allowed = route.open === true || mayCall(origins, origin, request.header('host') ?? '')
    const exchange = new ResponseExchange(response, request, allowed ? origin : '', ports)
    if (metrics !== undefined) {
      const startedAt = performance.now()
      exchange.onAnswer((status) => {
        metrics.answered(route.method, route.path, status, (performance.now() - startedAt) / 1000)
      })
    }
    const entered = connections.enter(request.address)
    if (entered === 'entered') exchanges.add(exchange)
    handle(route, exchange, allowed, entered).catch((error: unknown) => {
      logger.error({ err: error, request: request.id }, 'failed to send an answer')
      exchange.abort()
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
      if (entered !== 'entered') throw tooManyConnections(entered)
      if (!allowed) throw originError(origins, request.header('origin') ?? '')
      if (request.refusal !== undefined) throw request.refusal
      if (route.open === true) {
        request.body.ignore()
      } else {
        // Before the token is verified, so that invalid ones count, too.
        refuseByRate(options.gate?.waitOfAddress(request.address))
        const identity = await authenticator.authenticate(bearerOf(request.header('authorization')), route.audience)
        request.identify(identity, options.experiment?.assign(identity.user, clientOf(request)))
        const key = authenticator.required ? request.user : request.address
        const verdict = rate.judge(key, performance.now())
        if (verdict.kind !== 'take') throw rateLimited(verdict)
        refuseByRate(options.gate?.waitOfUser(authenticator.required ? request.user : undefined))
      }
      const handled = route.handle(exchange)
      exchange.watchToken(() => refuseExpired(route, exchange))
      await handled
    } catch (error) {
      // A request over the connection limit is not counted, so its connection must close.
      await refuse(route, exchange, error, entered !== 'entered')
    }
  }

  function refuseExpired(route: Route, exchange: ResponseExchange): void {
    const error = new ReplyError('unauthenticated', 'The access token has expired.')
    refuse(route, exchange, error, false).catch((cause: unknown) => {
      logger.error({ err: cause, request: exchange.request.id }, 'failed to send an answer')
      exchange.abort()
    })
  }

  async function refuse(route: Route, exchange: ResponseExchange, error: unknown, closes: boolean): Promise<void> {
    const { request } = exchange
    if (isFault(error)) {
      logger.error({ err: error, request: request.id, method: route.method, path: route.path }, 'request failed')
    }
    if (exchange.closed) {
      // A stream that breaks off without an end tells the client to reconnect.
      exchange.abort()
      return
    }
    const failure = failureOf(error)
    metrics?.refused('http', failure.code, request.experiment?.variant)
    if (route.events === true && isTemporaryRefusal(exchange, failure)) {
      refuseByEvent(exchange, failure)
      return
    }
    // A client may not read the answer before it has sent its whole body.
    const closesConnection = closes || failure.closes
    request.body.ignore()
    if (!closesConnection) await request.body.received()
    const shaped = (route.errors ?? asProblem)(failure, request.id)
    const { body, contentType, status = failure.status } = shaped
    const headers = { ...failure.headers, ...shaped.headers, 'Content-Type': contentType }
    if (closesConnection) exchange.replyAndClose(status, JSON.stringify(body), headers)
    else exchange.replyWith(status, JSON.stringify(body), headers)
  }

  for (const { route, method, names } of withImplicitRoutes(routes, origins)) {
    app[method](route.path, handler(route, names))
  }

  return {
    get requests() {
      return exchanges.size
    },

    get streams() {
      return supervisor.size
    },

    get unsentBytes() {
      return supervisor.unsentBytes
    },

    drain(reason, withinMs) {
      if (draining !== undefined) return
      draining = { reason, withinMs }
      for (const exchange of [...exchanges]) exchange.notifyDrain(draining)
    },

    async emptied(waitMs) {
      if (exchanges.size === 0) return
      const empty = new Promise<void>((resolve) => {
        whenEmpty = resolve
      })
      await Promise.race([empty, sleep(waitMs, undefined, { ref: false })])
    },

    close() {
      draining ??= { reason: 'the node is shutting down', withinMs: 0 }
      supervisor.close()
      for (const exchange of [...exchanges]) exchange.abort()
    },
  }
}

/** The client's persistent id, used for experiments. Invalid ids are ignored. */
function clientOf(request: RequestSnapshot): string | undefined {
  return Id.safeParse(request.header('parley-client')).data
}

/** @throws ReplyError rate_limited */
function refuseByRate(waitMs = 0): void {
  if (waitMs > 0) throw new ReplyError('rate_limited', undefined, { retryAfterMs: waitMs })
}

function rateLimited(verdict: Exclude<CommandVerdict, { kind: 'take' }>): ReplyError {
  return new ReplyError('rate_limited', undefined, {
    retryAfterMs: verdict.kind === 'refuse' ? verdict.retryAfterMs : IGNORED_RETRY_MS,
  })
}
