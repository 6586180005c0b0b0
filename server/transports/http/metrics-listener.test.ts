// PARLEY_METRICS_LISTEN: /metrics on an address of its own, and not on the port of the clients.
import { mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../config/config.ts'
import { createServer } from '../../create-server.ts'
import { parseListenAddress } from './listen-address.ts'
import { listenForMetrics, type MetricsListener, type MetricsListenerOptions } from './metrics-listener.ts'

let listener: MetricsListener | undefined
afterEach(async () => {
  await listener?.close()
  listener = undefined
})

const TOKEN = 'a-secret-of-16-chars'

async function open(options: Partial<MetricsListenerOptions> = {}): Promise<MetricsListener> {
  listener = await listenForMetrics(
    { host: '127.0.0.1', port: 0 },
    {
      token: undefined,
      contentType: 'text/plain; version=0.0.4',
      logger: pino({ enabled: false }),
      text: async () => 'parley_runs_active 0\n',
      ...options,
    },
  )
  return listener
}

/** Unlike fetch, it can send any Host. */
function ask(url: string, headers: Record<string, string> = {}): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { headers, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
}

describe('the listener', () => {
  it('answers in the Prometheus format, and nothing else', async () => {
    const { url } = await open()
    const answer = await fetch(url)
    expect([answer.status, await answer.text()]).toEqual([200, 'parley_runs_active 0\n'])
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(await ask(url.replace('/metrics', '/v1/sessions'))).toBe(404)
    const posted = await fetch(url, { method: 'POST' })
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET'])
  })

  it('answers 404 under a foreign host name, which may resolve to this machine', async () => {
    const { url } = await open()
    expect(await ask(url, { Host: 'rebound.example' })).toBe(404)
    expect(await ask(url, { Host: 'localhost:9464' })).toBe(200)
    expect(await ask(url, { Host: '[::1]:9464' })).toBe(200)
  })

  it('requires its token, if it has one', async () => {
    const { url } = await open({ token: TOKEN })
    expect(await ask(url)).toBe(401)
    expect(await ask(url, { Authorization: 'Bearer another' })).toBe(401)
    expect(await ask(url, { Authorization: `Bearer ${TOKEN}`, Host: 'parley.example' })).toBe(200)
  })

  it('answers 500 without details when rendering fails', async () => {
    const { url } = await open({ text: () => Promise.reject(new Error('inside')) })
    const answer = await fetch(url)
    expect(answer.status).toBe(500)
    expect(await answer.text()).not.toContain('inside')
  })

  it('refuses a used port, with an error that names the setting', async () => {
    const taken = createTcpServer()
    const port = await new Promise<number>((resolve) => {
      taken.listen(0, '127.0.0.1', () => {
        const address = taken.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
    const options = { token: undefined, contentType: 'x', logger: pino({ enabled: false }), text: async () => '' }
    await expect(listenForMetrics({ host: '127.0.0.1', port }, options)).rejects.toThrow(
      `Cannot listen on PARLEY_METRICS_LISTEN 127.0.0.1:${port}.`,
    )
    taken.close()
  })
})

describe('a node', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'parley-metrics-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** @returns the status of /metrics on the port of the clients with these headers, and at its own address */
  async function statuses(settings: Record<string, string>, headers: Record<string, string> = {}) {
    const urls: string[] = []
    const logger = pino({ level: 'info' }, { write: (line) => urls.push(JSON.parse(line).url ?? '') })
    const config = await loadConfig({ PARLEY_DATA: folder, PARLEY_PORT: '0', ...settings }, folder)
    const server = await createServer(config, logger)
    try {
      const own = urls.find((url) => url.endsWith('/metrics'))
      return [await ask(`${server.url}/metrics`, headers), own === undefined ? undefined : await ask(own, headers)]
    } finally {
      await server.close()
    }
  }

  // A proxy on the same machine that adds no header made everybody look local, and got the metrics by default.
  it('shows its metrics to nobody by default', async () => {
    expect(await statuses({}, { Host: 'localhost' })).toEqual([404, undefined])
  })

  it('shows them on the port of the clients only with a token', async () => {
    expect(await statuses({ PARLEY_METRICS_TOKEN: TOKEN })).toEqual([401, undefined])
    const headers = { Authorization: `Bearer ${TOKEN}` }
    expect(await statuses({ PARLEY_METRICS_TOKEN: TOKEN }, headers)).toEqual([200, undefined])
  })

  it('shows them only at the address of their own, if there is one', async () => {
    const listen = { PARLEY_METRICS_LISTEN: '127.0.0.1:0' }
    expect(await statuses(listen)).toEqual([404, 200])
    expect(await statuses({ ...listen, PARLEY_METRICS_TOKEN: TOKEN })).toEqual([404, 401])
    const headers = { Authorization: `Bearer ${TOKEN}` }
    expect(await statuses({ ...listen, PARLEY_METRICS_TOKEN: TOKEN }, headers)).toEqual([404, 200])
    expect(await statuses({ ...listen, PARLEY_METRICS: 'off' })).toEqual([404, undefined])
  })
})

it.each([
  ['127.0.0.1:9464', { host: '127.0.0.1', port: 9464 }],
  ['[::1]:0', { host: '::1', port: 0 }],
  ['metrics.internal:65535', { host: 'metrics.internal', port: 65_535 }],
  ['9464', undefined],
  ['127.0.0.1:65536', undefined],
  ['::1:9464', undefined],
  ['http://127.0.0.1:9464', undefined],
])('reads the address %s', (text, address) => {
  expect(parseListenAddress(text)).toEqual(address)
})
