// Tests who gets a stream slot. client/test/browser.process.test.ts tests it with the tabs of a real browser.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { acquireStream } from './stream-slots.ts'

const SERVER = 'https://chat.example.com'
let held: Set<string>
let protocol: string

/** As the Web Locks API grants locks with `ifAvailable`. */
async function request(name: string, _: unknown, use: (lock: object | null) => unknown): Promise<void> {
  if (held.has(name)) return void (await use(null))
  held.add(name)
  await use({})
  held.delete(name)
}

beforeEach(() => {
  held = new Set()
  protocol = 'http/1.1'
  vi.stubGlobal('navigator', { locks: { request } })
  vi.spyOn(performance, 'getEntries').mockImplementation(() =>
    [
      { name: 'https://other.example.com/', nextHopProtocol: 'h2' },
      { name: `${SERVER}/v1/hello`, nextHopProtocol: protocol },
      { name: 'a measure' },
    ].map((entry) => ({ entryType: '', startTime: 0, duration: 0, toJSON: () => entry, ...entry })),
  )
})
afterEach(() => vi.unstubAllGlobals())

async function acquired(count: number): Promise<readonly ((() => void) | undefined)[]> {
  const releases: ((() => void) | undefined)[] = []
  for (let i = 0; i < count; i += 1) releases.push(await acquireStream(SERVER))
  return releases
}

describe('a stream slot', () => {
  it('is one of four over HTTP/1.1, and is free again after its release', async () => {
    const [first, ...others] = await acquired(5)
    expect(others.map((release) => release === undefined)).toEqual([false, false, false, true])
    first?.()
    await vi.waitFor(() => expect(held.size).toBe(3), 20_000)
    expect(await acquireStream(SERVER)).toBeDefined()
  })

  it.each(['h2', 'h3'])('is always free over %s, which needs one connection', async (next) => {
    protocol = next
    expect(await acquired(20)).not.toContain(undefined)
  })

  it('is always free in a document that may not use locks, and on a platform without tabs', async () => {
    vi.stubGlobal('navigator', { locks: { request: () => Promise.reject(new DOMException('', 'SecurityError')) } })
    expect(await acquired(5)).not.toContain(undefined)
    vi.stubGlobal('navigator', undefined)
    expect(await acquired(5)).not.toContain(undefined)
  })
})

/** Each tab has its own copy of the module. */
async function openTab(): Promise<typeof acquireStream> {
  vi.resetModules()
  return (await import('./stream-slots.ts')).acquireStream
}

describe('a stream slot of plain HTTP, without Web Locks', () => {
  beforeEach(() => {
    vi.stubGlobal('navigator', {})
    vi.stubGlobal('isSecureContext', false)
  })

  it('is one of four of all tabs, and is free again after its release', async () => {
    const server = 'http://chat.example.com'
    const [one, two, three] = await Promise.all([openTab(), openTab(), openTab()])
    const [release, ...others] = await Promise.all([one(server), one(server), one(server)])
    expect([release, ...others]).not.toContain(undefined)
    // One is left, and two ask for it.
    const last = await Promise.all([two(server), two(server)])
    expect(last.filter((slot) => slot === undefined)).toHaveLength(1)
    expect(await three(server)).toBeUndefined()
    release?.()
    expect(await three(server)).toBeDefined()
    expect(await two(server)).toBeUndefined()
  })

  it('is never one of more than four when many tabs ask at the same time', async () => {
    const tabs = await Promise.all(Array.from({ length: 12 }, openTab))
    const slots = await Promise.all(tabs.map((acquire) => acquire('http://other.example.com')))
    expect(slots.filter((slot) => slot !== undefined).length).toBeLessThanOrEqual(4)
    // They try again one by one later.
    for (const acquire of tabs.slice(0, 5)) slots.push(await acquire('http://other.example.com'))
    expect(slots.filter((slot) => slot !== undefined)).toHaveLength(4)
  })
})
