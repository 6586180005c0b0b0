// Clients that disconnect before their request starts to read: nothing may be started that would never end.
import { once } from 'node:events'
import { afterEach, expect, it } from 'vitest'
import type { HttpExchange } from '../http/http-exchange.ts'
import { TransportHarness } from '../test/transport-harness.ts'
import { holdConnection } from './events.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

const OPTIONS = { session: 's', after: undefined, merge: false, filter: undefined }

let harness: TransportHarness

afterEach(() => harness.close())

/** Runs a handler after its client has disconnected, and resolves when it has returned. */
async function handleAfterDisconnect(
  handle: (ports: SessionHttpPorts, exchange: HttpExchange) => Promise<void>,
): Promise<void> {
  const client = new AbortController()
  await new Promise<void>((resolve, reject) => {
    TransportHarness.open({
      lingerMs: 0,
      connectionMs: 20,
      routes: (ports) => [
        {
          method: 'GET',
          path: '/late',
          async handle(exchange) {
            const disconnected = once(exchange.request.signal, 'abort')
            client.abort()
            await disconnected
            handle(ports, exchange).then(resolve, reject)
          },
        },
      ],
    }).then((opened) => {
      harness = opened
      opened.fetch('/late', { signal: client.signal, headers: { 'Parley-Connection': 'mine' } }).catch(() => undefined)
    }, reject)
  })
}

it('a disconnected client gets no stream', async () => {
  await handleAfterDisconnect(async ({ httpReaders }, exchange) => {
    await expect(httpReaders.stream(exchange, 'sse', OPTIONS)).rejects.toThrow('detached')
  })
  await expect.poll(() => [harness.hub.size, harness.http.requests, harness.http.streams]).toEqual([0, 0, 0])
})

it('a disconnected client does not wait for a page', async () => {
  await handleAfterDisconnect(async ({ httpReaders }, exchange) => {
    expect(await httpReaders.page(exchange, OPTIONS, 60_000)).toMatchObject({ live: false, empty: true })
  })
  await expect.poll(() => harness.hub.size).toBe(0)
})

it('a disconnected client does not keep its connection present', async () => {
  await handleAfterDisconnect(async (ports, exchange) => {
    const caller = { connection: 'mine', user: 'anonymous', role: 'owner', roams: true } as const
    await ports.connections.arrive('s', caller, [{ name: 'look_up' }])
    holdConnection(ports, exchange.request, 's')
    expect(ports.connections.size).toBe(1)
    await expect.poll(() => ports.connections.size).toBe(0)
  })
})
