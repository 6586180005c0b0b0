// GET /metrics on the port of the clients: every reader needs the token.

import { once } from 'node:events'
import { connect } from 'node:net'
import { pino } from 'pino'
import { afterEach, expect, it } from 'vitest'
import { RawConnection } from '../test/http-harness.ts'
import { loadUws, type us_listen_socket } from '../uws.ts'
import { serveHealth } from './health.ts'
import { type MetricsRouteOptions, serveMetrics } from './metrics-route.ts'

const AUTHORIZED = 'Authorization: Bearer a-secret-of-16-chars'

let close: (() => void) | undefined
afterEach(() => close?.())

/** Serves /metrics. @returns a function that sends a request with the given headers and returns the answer */
async function serve(options: Partial<MetricsRouteOptions> = {}) {
  const { uws } = loadUws()
  const app = uws.App()
  serveMetrics(app, {
    token: 'a-secret-of-16-chars',
    contentType: 'text/plain; version=0.0.4',
    logger: pino({ enabled: false }),
    text: async () => 'parley_runs_active 0\n',
    ...options,
  })
  serveHealth(app, () => 'ready')
  const socket = await new Promise<us_listen_socket>((resolve, reject) => {
    app.listen('127.0.0.1', 0, (token) => (token === false ? reject(new Error('no port')) : resolve(token)))
  })
  const port = uws.us_socket_local_port(socket)
  close = () => app.close()
  return async (...headers: readonly string[]) => {
    const tcp = connect(port, '127.0.0.1')
    await once(tcp, 'connect')
    const connection = new RawConnection(tcp)
    connection.write(`GET /metrics HTTP/1.1\r\n${['Host: localhost:8080', ...headers, '\r\n'].join('\r\n')}`)
    const text = await connection.until('\r\n\r\n')
    tcp.destroy()
    return text
  }
}

const statusOf = (answer: string) => Number(answer.split(' ')[1])

it('answers readers with the token in the Prometheus format, and forbids caching', async () => {
  const ask = await serve()
  const answer = await ask(AUTHORIZED, 'X-Forwarded-For: 203.0.113.7')
  expect(statusOf(answer)).toBe(200)
  expect(answer).toContain('Content-Type: text/plain; version=0.0.4')
  expect(answer).toContain('Cache-Control: no-store')
})

// Through a proxy on the same machine that adds no header (nginx, HAProxy and Envoy by default), a request of anybody has a
// loopback peer and can have `Host: localhost`.
it('answers 401 without the token, also to a request that looks local', async () => {
  const ask = await serve()
  expect(statusOf(await ask())).toBe(401)
  expect(statusOf(await ask('Authorization: Bearer another'))).toBe(401)
  expect(statusOf(await ask('Authorization: Basic a-secret-of-16-chars'))).toBe(401)
})

it('answers 500 without details when rendering fails', async () => {
  const ask = await serve({ text: () => Promise.reject(new Error('inside')) })
  const answer = await ask(AUTHORIZED)
  expect(statusOf(answer)).toBe(500)
  expect(answer).not.toContain('inside')
})
