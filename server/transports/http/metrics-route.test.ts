// GET /metrics: which requests may read the metrics, and which get 404.

import uws from 'uWebSockets.js'
import { once } from 'node:events'
import { connect } from 'node:net'
import { pino } from 'pino'
import { afterEach, expect, it } from 'vitest'
import { RawConnection } from '../test/http-harness.ts'
import { serveHealth } from './health.ts'
import { type MetricsRouteOptions, serveMetrics } from './metrics-route.ts'

let close: (() => void) | undefined
afterEach(() => close?.())

/** Serves /metrics. @returns a function that sends a request with the given headers and returns the answer */
async function serve(options: Partial<MetricsRouteOptions>) {
  const app = uws.App()
  serveMetrics(app, {
    exposure: 'local',
    token: undefined,
    contentType: 'text/plain; version=0.0.4',
    logger: pino({ enabled: false }),
    text: async () => 'parley_runs_active 0\n',
    ...options,
  })
  serveHealth(app, () => 'ready')
  const socket = await new Promise<uws.us_listen_socket>((resolve, reject) => {
    app.listen('127.0.0.1', 0, (token) => (token === false ? reject(new Error('no port')) : resolve(token)))
  })
  const port = uws.us_socket_local_port(socket)
  close = () => app.close()
  return async (...headers: readonly string[]) => {
    const tcp = connect(port, '127.0.0.1')
    await once(tcp, 'connect')
    const connection = new RawConnection(tcp)
    const named = headers.some((header) => header.startsWith('Host:')) ? headers : ['Host: localhost:8080', ...headers]
    connection.write(`GET /metrics HTTP/1.1\r\n${[...named, '\r\n'].join('\r\n')}`)
    const text = await connection.until('\r\n\r\n')
    tcp.destroy()
    return text
  }
}

const statusOf = (answer: string) => Number(answer.split(' ')[1])

it('answers local requests in the Prometheus format, and forbids caching', async () => {
  const ask = await serve({})
  const answer = await ask()
  expect(statusOf(answer)).toBe(200)
  expect(answer).toContain('Content-Type: text/plain; version=0.0.4')
  expect(answer).toContain('Cache-Control: no-store')
  expect(statusOf(await ask('Host: 127.0.0.1:80'))).toBe(200)
})

it('answers 404 through a local proxy or under a foreign host name', async () => {
  const ask = await serve({})
  for (const header of [
    'X-Forwarded-For: 203.0.113.7',
    'Forwarded: for=203.0.113.7',
    'Via: 1.1 caddy',
    'X-Real-IP: 1.2.3.4',
  ]) {
    expect(statusOf(await ask(header))).toBe(404)
  }
  expect(statusOf(await ask('Host: rebound.example'))).toBe(404)
})

it('requires its token, if it has one, from local requests too', async () => {
  const ask = await serve({ token: 'a-secret-of-16-chars' })
  expect(statusOf(await ask())).toBe(401)
  expect(statusOf(await ask('Authorization: Bearer another'))).toBe(401)
  expect(statusOf(await ask('Authorization: Bearer a-secret-of-16-chars', 'X-Forwarded-For: 203.0.113.7'))).toBe(200)
})

it('answers every request if it is exposed', async () => {
  const ask = await serve({ exposure: 'on' })
  expect(statusOf(await ask('X-Forwarded-For: 203.0.113.7', 'Host: parley.example'))).toBe(200)
})

it('answers 500 without details when rendering fails', async () => {
  const ask = await serve({ text: () => Promise.reject(new Error('inside')) })
  const answer = await ask()
  expect(statusOf(answer)).toBe(500)
  expect(answer).not.toContain('inside')
})
