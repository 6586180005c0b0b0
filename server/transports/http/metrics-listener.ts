// MetricsListener: serves GET /metrics on an address of its own, which no proxy for clients forwards to. Node's own server
// is enough: a scrape is rare.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { makeId, ReplyError } from '@parley/protocol'
import { asProblem, failureOf } from './failure.ts'
import { HttpError } from './http-error.ts'
import { ListenError, reachable } from './listen.ts'
import type { ListenAddress } from './listen-address.ts'
import { hasToken, type MetricsSource, onlyGet, renderMetrics } from './metrics-route.ts'
import { isLoopbackName } from './origin.ts'

export interface MetricsListenerOptions extends MetricsSource {
  /** If set, every request must present it. */
  readonly token: string | undefined
}

export interface MetricsListener {
  /** The address of the metrics, with the actual port. */
  readonly url: string
  close(): Promise<void>
}

/** Scrapes are few and short. */
const CONNECTIONS = 64
const REQUEST_MS = 10_000

/** @param address port 0 picks a free port @throws ListenError */
export async function listenForMetrics(
  { host, port }: ListenAddress,
  options: MetricsListenerOptions,
): Promise<MetricsListener> {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
    answer(request, response, host, options).catch((error: unknown) => {
      options.logger.error({ err: error }, 'failed to send an answer')
      response.destroy()
    })
  })
  server.maxConnections = CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new ListenError(`Cannot listen on PARLEY_METRICS_LISTEN ${host}:${port}.`, { cause })),
    )
    server.listen(port, host, resolve)
  })
  // Such as a process without free file descriptors. Later connections may succeed.
  server.on('error', (error) => options.logger.error({ err: error }, 'failed to accept a reader of the metrics'))
  const bound = server.address()
  const actual = typeof bound === 'object' && bound !== null ? bound.port : port
  const name = reachable(host)
  return {
    url: `http://${name.includes(':') ? `[${name}]` : name}:${actual}/metrics`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  host: string,
  options: MetricsListenerOptions,
): Promise<void> {
  try {
    check(request, host, options.token)
    const text = await renderMetrics(options)
    response.writeHead(200, { 'Content-Type': options.contentType, 'Cache-Control': 'no-store' }).end(text)
  } catch (error) {
    const failure = failureOf(error)
    const id = makeId('req')
    const { body, contentType } = asProblem(failure, id)
    const headers = { ...failure.headers, 'Content-Type': contentType, 'Cache-Control': 'no-store', 'X-Request-Id': id }
    response.writeHead(failure.status, headers).end(JSON.stringify(body))
  }
}

/** @throws HttpError not_found, method_not_allowed; ReplyError unauthenticated */
function check({ url = '', method, headers }: IncomingMessage, host: string, token: string | undefined): void {
  if (url.split('?')[0] !== '/metrics') throw new HttpError('not_found')
  // On loopback, a page can reach this port under a foreign name that resolves to this machine (DNS rebinding).
  const requested = (headers.host ?? '').replace(/:\d+$/, '')
  if (token === undefined && isLoopbackName(host) && !isLoopbackName(requested)) throw new HttpError('not_found')
  if (token !== undefined && !hasToken(headers.authorization, token)) throw new ReplyError('unauthenticated')
  if (method !== 'GET') throw onlyGet()
}
