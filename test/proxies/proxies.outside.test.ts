// Proxies in front of a real server, with the configurations of docs/guides/proxies.md.
// EXPECTED_FAILURES lists what does not work yet, with the reason; an unexpected pass fails as well.
import { once } from 'node:events'
import { ParleyClient } from '@parley/client'
import { makeId } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { EXPECTED_FAILURES } from './expected-failures.ts'
import { GuideProxy } from './guide-proxy.ts'
import { KINDS } from './kinds.ts'

/** Numbers of an answer, and numbers per second. */
const COUNT = 12
const RATE = 4
/** Milliseconds from an entry's time in the log to its arrival. A proxy that holds data back takes a piece's 250 ms or more. */
const LATE_MS = 150
/** For the end of the answer, which no other piece follows. */
const END_LATE_MS = 1_000

let server: ServerProcess

beforeAll(async () => {
  server = await ServerProcess.start({ PARLEY_REQUEST_RATE: '10000', PARLEY_METRICS_TOKEN: makeId('t') })
})
afterAll(() => server?.dispose())

describe.each(KINDS)('$name', (kind) => {
  let proxy: GuideProxy

  beforeAll(async () => {
    proxy = await GuideProxy.start(kind, server.port)
  })
  afterAll(() => proxy?.dispose())

  async function check(feature: string, body: () => Promise<void>): Promise<void> {
    const reason = EXPECTED_FAILURES[`${kind.name}: ${feature}`]
    if (reason === undefined) return body()
    const failed = await body().then(
      () => false,
      () => true,
    )
    if (!failed)
      throw new Error(`It works now with ${proxy.version}: remove it from the expected failures (${reason}).`)
  }

  function post(content: string, headers: Readonly<Record<string, string>>): Promise<Response> {
    return fetch(`${proxy.origin}/v1/sessions/${makeId('s')}/messages`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify({ content }),
    })
  }

  it.each(['text/event-stream', 'application/x-ndjson'])('passes each piece of %s on at once', (type) =>
    check(type, async () => {
      const response = await post(`/demo count=${COUNT} rate=${RATE} ttft=0 jitter=0`, { Accept: type })
      expect(response.status).toBe(200)
      const late: number[] = []
      let endLate = Number.POSITIVE_INFINITY
      for await (const line of lines(response)) {
        const json = line.slice(line.indexOf('{'))
        if (!line.includes('"type":"entry"')) continue
        const { time, event } = JSON.parse(json) as { time: number; event: { type: string } }
        if (event.type === 'run.output') late.push(Date.now() - time)
        if (event.type === 'run.ended') endLate = Date.now() - time
      }
      expect(late.length).toBeGreaterThan(COUNT / 2)
      expect(median(late), `milliseconds, of ${late.join(', ')}`).toBeLessThan(LATE_MS)
      expect(endLate, 'milliseconds for the end').toBeLessThan(END_LATE_MS)
    }),
  )

  const sockets =
    kind.isWithoutSockets === true ? 'without WebSockets: the SDK falls back to SSE' : 'passes a WebSocket on'
  it(sockets, () =>
    check('websocket', async () => {
      if (kind.isWithoutSockets === true) return fallBack()
      const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/v1/ws`, { origin: proxy.origin })
      const welcome = await new Promise<string>((resolve, reject) => {
        socket.on('open', () => socket.send('{"type":"hello"}'))
        socket.on('message', (data) => resolve(String(data)))
        socket.on('error', reject)
        socket.on('close', (code) => reject(new Error(`closed with ${code}`)))
      })
      socket.terminate()
      expect(JSON.parse(welcome)).toMatchObject({ type: 'welcome' })
    }),
  )

  /** The proxy drops the header `Upgrade`, so the server answers 426. */
  async function fallBack(): Promise<void> {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/v1/ws`)
    const [error] = (await once(socket, 'error')) as [Error]
    expect(error.message).toContain('426')
    const client = new ParleyClient({ url: proxy.origin })
    try {
      const { text } = await client.session(makeId('s')).send('/demo count=3 rate=0').result()
      expect([text, client.state.transport.door]).toEqual(['0 1 2', 'sse'])
    } finally {
      await client.close()
    }
  }

  it("accepts a page's request: the Host arrives as the browser sent it", () =>
    check('origin', async () => {
      const response = await post('/demo count=1', { Origin: proxy.origin, Accept: 'application/json' })
      expect(response.status).toBe(200)
      await response.text()
    }))

  it('answers a long poll that waits', () =>
    check('long poll', async () => {
      const session = makeId('s')
      const started = performance.now()
      const response = await fetch(`${proxy.origin}/v1/sessions/${session}/events?wait=5`)
      expect(response.status).toBe(200)
      await response.text()
      expect(performance.now() - started).toBeLessThan(15_000)
    }))

  // Without a proxy, and without the token for metrics.
  it.each([
    ['/metrics', 401],
    ['/readyz', 200],
  ])('hides %s', (path, status) =>
    check(path, async () => {
      expect((await fetch(`http://127.0.0.1:${server.port}${path}`)).status).toBe(status)
      expect([403, 404]).toContain((await fetch(`${proxy.origin}${path}`)).status)
    }),
  )
})

async function* lines(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const part of response.body ?? []) {
    rest += decoder.decode(part, { stream: true })
    const complete = rest.split('\n')
    rest = complete.pop() ?? ''
    yield* complete
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
}
