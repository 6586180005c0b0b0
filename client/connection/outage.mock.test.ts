// Tests with a fake Firefox that an outage changes neither the transport nor what is remembered, and that all tabs are
// back within ten seconds of the server's return, in each of 20 outages. In web/test/, browsers show the same in real time.
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type DoorStorage, ParleyClient } from '../index.ts'
import { FakeFirefox } from '../test/fake-firefox.ts'
import { loadHttp } from '../transport/http/loading-transport.ts'

vi.mock('#platform', async (load) => ({ ...(await load<typeof import('#platform')>()), DELAYS_SOCKETS: true }))

const URL = 'http://parley.test'
/** Milliseconds until a tab must be back. */
const BACK_MS = 10_000
const OUTAGES = 20

let browser: FakeFirefox
let clients: ParleyClient[]
let kept: Map<string, string>

// Loading code takes real time.
beforeAll(async () => {
  await loadHttp()
})
beforeEach(() => {
  vi.useFakeTimers()
  browser = new FakeFirefox()
  clients = []
  kept = new Map()
})
afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()))
  vi.useRealTimers()
})

/** Opens a tab, whose storage all tabs share. */
function open(): ParleyClient {
  const storage: DoorStorage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
  }
  const client = new ParleyClient({ url: URL, storage, fetch: browser.fetch, WebSocket: browser.WebSocket })
  client.connect()
  clients.push(client)
  return client
}

function remembered(): string | undefined {
  return kept.get(`parley.door:${URL}`)?.split(' ')[0]
}

const LIVE = { status: 'open', transport: { door: 'websocket' } }

describe('in a browser that holds WebSockets back after failures', () => {
  describe.each([1, 6])('with %i tabs', (tabs) => {
    it.each([10, 90, 240])('20 outages of %i s change no transport, and all tabs are back in time', async (seconds) => {
      for (let i = 0; i < tabs; i += 1) open()
      await vi.advanceTimersByTimeAsync(6_000)
      const doors = new Set<string>()
      for (const client of clients) client.subscribe(() => doors.add(client.state.transport.door))
      for (let outage = 0; outage < OUTAGES; outage += 1) {
        browser.become('down')
        // The tabs are at another point of their waits each time.
        await vi.advanceTimersByTimeAsync(seconds * 1_000 + outage * 431)
        browser.become('up')
        await vi.advanceTimersByTimeAsync(BACK_MS)
        for (const client of clients) expect(client.state).toMatchObject(LIVE)
        await vi.advanceTimersByTimeAsync(6_000)
      }
      await vi.advanceTimersByTimeAsync(60_000)
      expect([...doors]).toEqual(['websocket'])
      expect(remembered()).toBe('websocket')
      const fresh = open()
      await vi.advanceTimersByTimeAsync(1_000)
      expect(fresh.state).toMatchObject({ ...LIVE, transport: { door: 'websocket', moves: 0 } })
    })
  })

  it('a tab whose WebSockets the browser delays uses SSE meanwhile, and does not remember it', async () => {
    // Another page of the browser has made WebSockets fail.
    browser.become('down')
    for (let failures = 0; failures < 12; failures += 1) {
      new browser.WebSocket()
      await vi.advanceTimersByTimeAsync(browser.heldMs + 50)
    }
    browser.become('up')
    const held = browser.heldMs
    expect(held).toBeGreaterThan(20_000)
    const client = open()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(client.state).toMatchObject({ status: 'open', transport: { door: 'sse', why: 'blocked' } })
    await vi.advanceTimersByTimeAsync(held - 6_000)
    expect([client.state.transport.door, remembered()]).toEqual(['sse', undefined])
    await vi.advanceTimersByTimeAsync(15_000)
    expect([client.state.transport.door, remembered()]).toEqual(['websocket', 'websocket'])
  })

  it('a tab whose WebSocket opens late waits for a slow server', async () => {
    browser.become('down')
    for (let failures = 0; failures < 6; failures += 1) {
      new browser.WebSocket()
      await vi.advanceTimersByTimeAsync(browser.heldMs + 50)
    }
    browser.become('up')
    browser.answerMs = 2_000
    const held = browser.heldMs
    expect(held).toBeGreaterThan(2_500)
    expect(held).toBeLessThan(3_500)
    const client = open()
    const doors = new Set<string>()
    client.subscribe(() => doors.add(client.state.transport.door))
    await vi.advanceTimersByTimeAsync(held + 2_100)
    expect(client.state).toMatchObject(LIVE)
    expect([...doors]).toEqual(['websocket'])
  })

  it('a client that finds the server away is back in time, and remembers what works', async () => {
    browser.become('down')
    const client = open()
    await vi.advanceTimersByTimeAsync(5_000)
    browser.become('up')
    await vi.advanceTimersByTimeAsync(BACK_MS + 6_000)
    expect(client.state).toMatchObject(LIVE)
    expect(remembered()).toBe('websocket')
  })

  it('blocked WebSockets are remembered, and stay so over an outage', async () => {
    browser.become('without WebSockets')
    const client = open()
    await vi.advanceTimersByTimeAsync(10_000)
    expect([client.state.transport.door, remembered()]).toEqual(['sse', 'sse'])
    browser.become('down')
    await vi.advanceTimersByTimeAsync(90_000)
    browser.become('without WebSockets')
    await vi.advanceTimersByTimeAsync(BACK_MS)
    expect([client.state.status, client.state.transport.door, remembered()]).toEqual(['open', 'sse', 'sse'])
  })
})
