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
  vi.stubGlobal('performance', {
    getEntries: () => [
      { name: 'https://other.example.com/', nextHopProtocol: 'h2' },
      { name: `${SERVER}/v1/hello`, nextHopProtocol: protocol },
      { name: 'a measure' },
    ],
  })
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
    await vi.waitFor(() => expect(held.size).toBe(3))
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
