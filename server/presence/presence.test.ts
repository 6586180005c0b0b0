// Presence on several nodes, over a bus that can lose messages, with a fake clock.
import type { Presence as PresenceFrame } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { NodeNews } from '../store/ports/node-news.ts'
import { Presence } from './presence.ts'
import { TIMEOUT_MS } from './presence-nodes.ts'
import { frameIntervalMs } from './presence-summary.ts'

class Bus {
  readonly #listeners = new Set<(message: unknown) => void>()
  unreachable = false
  loses = false
  bytes = 0
  messages = 0

  news(): NodeNews {
    return {
      notify: (message) => {
        if (this.unreachable) return false
        const text = JSON.stringify(message)
        this.messages += 1
        this.bytes += text.length
        if (!this.loses) for (const listener of this.#listeners) listener(JSON.parse(text))
        return true
      },
      onNotified: (listener) => {
        this.#listeners.add(listener)
        return { close: () => this.#listeners.delete(listener) }
      },
    }
  }
}

class Viewer {
  readonly frames: PresenceFrame[] = []
  readonly connection: string
  readonly #presence: Presence

  constructor(presence: Presence, connection: string) {
    this.#presence = presence
    this.connection = connection
    const notify = (frame: PresenceFrame) => void this.frames.push(frame)
    presence.enter('s', { connection, user: `user of ${connection}`, name: connection.toUpperCase(), notify })
  }

  get last(): PresenceFrame | undefined {
    return this.frames.at(-1)
  }

  get sees(): string[] {
    return (this.last?.members ?? []).map(({ connection }) => connection).sort()
  }

  show(state: Record<string, unknown>): void {
    this.#presence.show('s', this.connection, state)
  }

  leave(): void {
    this.#presence.leave('s', this.connection)
  }
}

let bus: Bus
const nodes: Presence[] = []

function node(): Presence {
  const presence = new Presence(bus.news())
  nodes.push(presence)
  return presence
}

beforeEach(() => {
  vi.useFakeTimers()
  bus = new Bus()
})
afterEach(() => {
  for (const each of nodes.splice(0)) each.close()
  vi.useRealTimers()
})

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

describe('on one node', () => {
  it('names all members, and sends no frame to a single one', async () => {
    const presence = new Presence()
    const ann = new Viewer(presence, 'ann')
    await pass(1_000)
    expect(ann.frames).toEqual([])
    const bob = new Viewer(presence, 'bob')
    await pass(200)
    expect(bob.last).toMatchObject({ count: 2, members: [{ name: expect.any(String), state: {} }, {}] })
    bob.leave()
    await pass(200)
    expect(ann.sees).toEqual(['ann'])
    ann.leave()
    expect(presence.size).toBe(0)
  })

  it('batches changes, and sends no frame twice', async () => {
    const presence = new Presence()
    const ann = new Viewer(presence, 'ann')
    for (let count = 0; count < 100; count += 1) ann.show({ typing: count % 2 === 1 })
    await pass(1_000)
    expect(ann.frames).toHaveLength(1)
    ann.show({ typing: true })
    await pass(1_000)
    expect(ann.frames).toHaveLength(1)
  })
})

describe('on several nodes', () => {
  it('shows members and their states on all nodes until they leave', async () => {
    const ann = new Viewer(node(), 'ann')
    const bob = new Viewer(node(), 'bob')
    const cat = new Viewer(node(), 'cat')
    await pass(1_000)
    for (const viewer of [ann, bob, cat]) expect([viewer.sees, viewer.last?.count]).toEqual([['ann', 'bob', 'cat'], 3])
    bob.show({ typing: true })
    await pass(1_000)
    expect(ann.last?.members[0]).toMatchObject({ connection: 'bob', name: 'BOB', state: { typing: true } })
    bob.leave()
    await pass(1_000)
    expect([ann.sees, cat.sees]).toEqual([
      ['ann', 'cat'],
      ['ann', 'cat'],
    ])
  })

  it('publishes nothing while only one node has members', async () => {
    const ann = new Viewer(node(), 'ann')
    node()
    await pass(1_000)
    const { bytes } = bus
    for (let count = 0; count < 50; count += 1) {
      ann.show({ typing: count % 2 === 0 })
      await pass(20)
    }
    // Heartbeats only.
    expect(bus.bytes - bytes).toBeLessThan(200)
  })

  it('removes the members of a stopped node at once, and of a dead one within 15 s', async () => {
    const ann = new Viewer(node(), 'ann')
    const leaves = node()
    new Viewer(leaves, 'bob')
    await pass(1_000)
    leaves.close()
    await pass(300)
    expect(ann.sees).toEqual(['ann'])
    const dies = node()
    new Viewer(dies, 'cat')
    await pass(1_000)
    expect(ann.sees).toEqual(['ann', 'cat'])
    const sent = bus.messages
    // It is silent from here on; the other nodes continue.
    nodes.splice(nodes.indexOf(dies), 1)
    silence(dies)
    await pass(TIMEOUT_MS + 4_000)
    expect(ann.sees).toEqual(['ann'])
    expect(bus.messages).toBeGreaterThan(sent)
  })

  it('recovers after lost messages', async () => {
    const ann = new Viewer(node(), 'ann')
    const there = node()
    const bob = new Viewer(there, 'bob')
    await pass(1_000)
    bus.loses = true
    bob.show({ typing: true })
    new Viewer(there, 'cat')
    await pass(1_000)
    bus.loses = false
    expect(ann.sees).toEqual(['ann', 'bob'])
    await pass(4_000)
    expect(ann.sees).toEqual(['ann', 'bob', 'cat'])
    expect(ann.last?.members[0]).toMatchObject({ connection: 'bob', state: { typing: true } })
  })

  it('works within a node during an outage of the bus, and recovers afterwards', async () => {
    const here = node()
    const ann = new Viewer(here, 'ann')
    const far = new Viewer(node(), 'far')
    await pass(1_000)
    bus.unreachable = true
    new Viewer(here, 'bob')
    await pass(TIMEOUT_MS + 4_000)
    expect([ann.sees, far.sees]).toEqual([['ann', 'bob'], ['far']])
    bus.unreachable = false
    await pass(12_000)
    expect([ann.sees, far.sees]).toEqual([
      ['ann', 'bob', 'far'],
      ['ann', 'bob', 'far'],
    ])
  })

  it('limits frames and bytes for 1,000 members who type', async () => {
    const [here, there] = [node(), node()]
    const viewers = Array.from({ length: 1_000 }, (_, at) => new Viewer(at % 2 === 0 ? here : there, `v${at}`))
    await pass(6_000)
    const [first] = viewers as [Viewer]
    expect(first.last).toMatchObject({ count: 1_000, members: { length: 32 } })
    const [frames, bytes] = [first.frames.length, bus.bytes]
    for (let tick = 0; tick < 300; tick += 1) {
      const viewer = viewers[1 + ((tick * 7) % 999)] as Viewer
      viewer.show({ typing: tick % 3 !== 0 })
      await pass(100)
    }
    const seconds = 30
    expect(first.frames.length - frames).toBeLessThanOrEqual((seconds * 1_000) / frameIntervalMs(1_000) + 1)
    // Two nodes publish a digest each per frame.
    expect((bus.bytes - bytes) / seconds).toBeLessThan(2 * 3_000)
  })
})

/** Like kill -9: stops its timers, and sends nothing. */
function silence(presence: Presence): void {
  const { unreachable } = bus
  bus.unreachable = true
  presence.close()
  bus.unreachable = unreachable
}
