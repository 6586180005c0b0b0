// Clients who leave before their request gets so far as to read: nothing is begun for them that nobody would end.
import { afterEach, expect, it } from 'vitest'
import type { HttpExchange } from '../http/http-exchange.ts'
import { TransportHarness } from '../test/transport-harness.ts'
import { holdConnection } from './events.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

const READING = { session: 's', after: undefined, merge: false, filter: undefined }

let harness: TransportHarness

afterEach(() => harness.close())

/** Resolves when a handler has returned that went on only after its client had left. */
async function handledLate(handle: (ports: SessionHttpPorts, exchange: HttpExchange) => Promise<void>): Promise<void> {
  const leaver = new AbortController()
  await new Promise<void>((resolve, reject) => {
    TransportHarness.open({
      lingerMs: 0,
      connectionMs: 20,
      routes: (ports) => [
        {
          method: 'GET',
          path: '/late',
          async handle(exchange) {
            const left = new Promise((told) => exchange.request.signal.addEventListener('abort', told))
            leaver.abort()
            await left
            handle(ports, exchange).then(resolve, reject)
          },
        },
      ],
    }).then((opened) => {
      harness = opened
      opened.fetch('/late', { signal: leaver.signal, headers: { 'Parley-Connection': 'mine' } }).catch(() => undefined)
    }, reject)
  })
}

it('read no stream', async () => {
  await handledLate(async ({ readings }, exchange) => {
    await expect(readings.stream(exchange, 'sse', READING)).rejects.toThrow('detached')
  })
  await expect.poll(() => [harness.hub.size, harness.http.requests, harness.http.streams]).toEqual([0, 0, 0])
})

it('wait for no page', async () => {
  await handledLate(async ({ readings }, exchange) => {
    expect(await readings.page(exchange, READING, 60_000)).toMatchObject({ live: false, empty: true })
  })
  await expect.poll(() => harness.hub.size).toBe(0)
})

it('hold no connection', async () => {
  await handledLate(async (ports, exchange) => {
    const caller = { connection: 'mine', user: 'anonymous', role: 'owner', roams: true } as const
    await ports.connections.arrive('s', caller, [{ name: 'look_up' }])
    holdConnection(ports, exchange.request, 's')
    expect(ports.connections.size).toBe(1)
    await expect.poll(() => ports.connections.size).toBe(0)
  })
})
