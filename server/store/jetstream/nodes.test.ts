// The JetStream log on several nodes: one order for all writers and readers, even if messages between them are lost.

import { connect, type NatsConnection } from '@nats-io/transport-node'
import { type Cursor, formatCursor } from '@parley/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../bench/cluster/nats-server.ts'
import { appendMany, collect, output } from '../contracts/session-log.contract.ts'
import type { Entry } from '../ports/entry.ts'
import { Conflict, CursorLost } from '../ports/errors.ts'
import type { SessionLog } from '../ports/session-log.ts'
import { JetStreamHarness } from '../test/jetstream-harness.ts'
import type { JetStreamStores } from './stores.ts'

let server: NatsServer
let harness: JetStreamHarness
let here: JetStreamStores
let there: JetStreamStores
let nats: NatsConnection

beforeAll(async () => {
  server = await NatsServer.start()
  nats = await connect({ servers: server.url })
})
afterAll(async () => {
  await nats.close()
  await server.dispose()
})
beforeEach(async () => {
  harness = await JetStreamHarness.open(server, { log: { followLimits: { activeTipMs: 300 } } })
  here = harness.stores
  there = await harness.join()
})
afterEach(async () => {
  await there.close()
  await harness.close()
})

const begin = (): Cursor => formatCursor(here.log.epoch, 0)
const seqsOf = async (log: SessionLog, session = 's'): Promise<number[]> =>
  (await collect(log, session, begin())).map(({ seq }) => seq)

/** A follower that records sequence numbers, and waits for them. */
class Reader {
  readonly seen: number[] = []
  readonly lost: Error[] = []
  #waiting: { readonly count: number; readonly done: () => void } | undefined

  static async open(log: SessionLog, session = 's', cursor = begin()): Promise<Reader> {
    const reader = new Reader()
    await log.follow(session, cursor, {
      entries: (entries) => {
        reader.seen.push(...entries.map(({ seq }) => seq))
        reader.#notify()
      },
      lost: (error) => {
        reader.lost.push(error)
        reader.#notify()
      },
    })
    return reader
  }

  /** Resolves when it has received this many entries, or was lost. */
  has(count: number): Promise<void> {
    return new Promise((done) => {
      this.#waiting = { count, done }
      this.#notify()
    })
  }

  #notify(): void {
    if (this.#waiting !== undefined && (this.seen.length >= this.#waiting.count || this.lost.length > 0)) {
      this.#waiting.done()
    }
  }
}

/** Appends during the work are stored but not republished. */
async function unpublished<T>(work: () => Promise<T>): Promise<T> {
  const stream = `${harness.prefix.toUpperCase()}_SESSIONS`
  const { config } = (await nats.request(`$JS.API.STREAM.INFO.${stream}`)).json<{ config: Record<string, unknown> }>()
  const { republish, ...silent } = config
  await nats.request(`$JS.API.STREAM.UPDATE.${stream}`, JSON.stringify(silent))
  try {
    return await work()
  } finally {
    await nats.request(`$JS.API.STREAM.UPDATE.${stream}`, JSON.stringify({ ...config, republish }))
  }
}

/** Describes the entries that are not preceded by their predecessor on the subject, except rollups. */
function gapsIn(entries: readonly Entry[]): string[] {
  const before = new Map<string, number>()
  return entries.flatMap(({ subject, seq, prev, rollup }) => {
    const known = before.get(subject) ?? 0
    before.set(subject, seq)
    return rollup || prev === known ? [] : [`${seq} on ${subject} after ${known} instead of ${prev}`]
  })
}

describe('two nodes', () => {
  it('deliver all entries in one order to all readers while both append', async () => {
    const readers = [await Reader.open(here.log), await Reader.open(there.log)]
    const appending = Array.from({ length: 8 }, (_, i) => appendMany((i % 2 ? here : there).log, 's', `run.${i}`, 60))
    const late = [Reader.open(here.log), Reader.open(there.log)]
    const appended = (await Promise.all(appending)).flat().map(({ seq }) => seq)
    appended.sort((a, b) => a - b)
    readers.push(...(await Promise.all(late)))
    for (const reader of readers) {
      await reader.has(appended.length)
      expect(reader.seen).toEqual(appended)
    }
    expect(await seqsOf(here.log)).toEqual(appended)
    expect(await seqsOf(there.log)).toEqual(appended)
  })

  it('let one of two racing appends win, and reject the other with its number', async () => {
    for (let round = 0; round < 20; round++) {
      const results = await Promise.allSettled([
        here.log.append('s', `tool.${round}`, output(0), 0),
        there.log.append('s', `tool.${round}`, output(1), 0),
      ])
      const won = results.find((result) => result.status === 'fulfilled')
      const lost = results.find((result) => result.status === 'rejected')
      expect(lost?.reason).toEqual(new Conflict(won?.value.seq as number))
    }
  })

  it('read each other’s appends as soon as they are acknowledged', async () => {
    await there.log.follow('followed', begin(), { entries: () => undefined })
    for (const session of ['followed', 'unfollowed']) {
      let last = 0
      for (let i = 0; i < 50; i++) {
        const entry = await here.log.append(session, 'run.r', output(i), last)
        last = entry.seq
        const cursor = formatCursor(here.log.epoch, last)
        expect(await there.log.last(session, 'run.r')).toBe(last)
        expect(await there.log.head(session)).toBe(cursor)
        expect((await seqsOf(there.log, session)).at(-1)).toBe(last)
        expect(await collect(there.log, session, cursor)).toEqual([])
      }
    }
  })

  it('agree on the partition of a session', async () => {
    await harness.close()
    await there.close()
    harness = await JetStreamHarness.open(server, { streams: { partitions: 3 } })
    here = harness.stores
    there = await harness.join()
    for (let i = 0; i < 12; i++) {
      const entries = await appendMany(here.log, `s${i}`, 'run.r', 5)
      expect(await seqsOf(there.log, `s${i}`)).toEqual(entries.map(({ seq }) => seq))
    }
    const streams = (await nats.request('$JS.API.STREAM.NAMES')).json<{ streams: string[] }>().streams
    expect(streams.filter((name) => name.startsWith(`${harness.prefix.toUpperCase()}_SESSIONS_`))).toHaveLength(3)
  })
})

describe('the loss of a republished message', () => {
  it('is detected by the next entry of the subject, and repaired in order', async () => {
    const reader = await Reader.open(there.log)
    const first = await here.log.append('s', 'run.r', output(0), 0)
    const lost = await unpublished(() => appendMany(here.log, 's', 'run.r', 3, undefined, first.seq))
    const next = await here.log.append('s', 'run.r', output(4), lost[2]?.seq ?? 0)
    await reader.has(5)
    expect(reader.seen).toEqual([first.seq, ...lost.map(({ seq }) => seq), next.seq])
  })

  it('is detected by an entry whose appender knew the lost one, and repaired in order', async () => {
    const reader = await Reader.open(there.log)
    await here.log.follow('s', begin(), { entries: () => undefined })
    const first = await here.log.append('s', 'run.r', output(0), 0)
    const lost = await unpublished(() => here.log.append('s', 'in.c', output(1), 0))
    const next = await here.log.append('s', 'run.r', output(2), first.seq)
    await reader.has(3)
    expect(reader.seen).toEqual([first.seq, lost.seq, next.seq])
  })

  it('is detected within seconds without further entries', async () => {
    const reader = await Reader.open(there.log)
    const first = await here.log.append('s', 'run.r', output(0), 0)
    const lost = await unpublished(() => here.log.append('s', 'in.c', output(1), 0))
    await reader.has(2)
    expect(reader.seen).toEqual([first.seq, lost.seq])
  })

  it('does not affect the node that appended it', async () => {
    const reader = await Reader.open(here.log)
    const lost = await unpublished(() => here.log.append('s', 'in.c', output(1), 0))
    expect(reader.seen).toEqual([lost.seq])
  })

  it('that is detected after later entries were delivered ends the reader, which then reads the log', async () => {
    const reader = await Reader.open(there.log)
    const lost = await unpublished(() => here.log.append('s', 'in.c', output(1), 0))
    // The appender does not follow the session, so its entry does not name the lost one as known.
    const next = await here.log.append('s', 'run.r', output(2), 0)
    await reader.has(1)
    expect(reader.seen).toEqual([next.seq])
    const stream = `${harness.prefix.toUpperCase()}_SESSIONS`
    nats.publish(`$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.${stream}`, '{}')
    await reader.has(2)
    expect(reader.lost).toEqual([new CursorLost('trimmed')])
    const again = await Reader.open(there.log)
    expect(again.seen).toEqual([lost.seq, next.seq])
  })

  it('is not assumed after a leader change if nothing was lost', async () => {
    const reader = await Reader.open(there.log)
    const before = await appendMany(here.log, 's', 'run.r', 5)
    const stream = `${harness.prefix.toUpperCase()}_SESSIONS`
    nats.publish(`$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.${stream}`, '{}')
    const after = await appendMany(here.log, 's', 'run.r', 5, undefined, before[4]?.seq)
    await reader.has(10)
    expect(reader.seen).toEqual([...before, ...after].map(({ seq }) => seq))
    expect(reader.lost).toEqual([])
  })
})

describe('following while runs are compacted', () => {
  it('ends no reader that is compared with the log, and delivers no entry without its predecessor', async () => {
    // Regression: a live entry that was compacted during the comparison was mistaken for one detected too late.
    const entries: Entry[] = []
    const lost: Error[] = []
    await there.log.follow('s', begin(), {
      entries: (more) => entries.push(...more),
      lost: (error) => lost.push(error),
    })
    let done = false
    const appendUntilDone = async (subject: string, length: number): Promise<number> => {
      for (let last = 0, index = 0; ; index++) {
        const rollup = index % length === length - 1
        last = (await here.log.append('s', subject, output(index), last, { rollup })).seq
        if (done && rollup) return last
      }
    }
    const appending = [appendUntilDone('run.a', 3), appendUntilDone('run.b', 10), appendUntilDone('run.c', 50)]
    const stream = `${harness.prefix.toUpperCase()}_SESSIONS`
    for (let round = 0; round < 100; round++) {
      nats.publish(`$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.${stream}`, '{}')
      // It is ordered among the appends.
      await here.log.last('s', 'run.a')
    }
    done = true
    const ends = Math.max(...(await Promise.all(appending)))
    await collect(there.log, 's', formatCursor(here.log.epoch, ends - 1))
    expect(lost).toEqual([])
    expect(entries.at(-1)?.seq).toBe(ends)
    expect(gapsIn(entries)).toEqual([])
  })
})

describe('reading while runs are compacted', () => {
  it('gives a new node no entry without its predecessor', async () => {
    // Regression: entries were missing that a rollup after the first batch had replaced, and later entries were
    // delivered.
    let done = false
    const appendUntilDone = async (subject: string, length: number): Promise<void> => {
      for (let last = 0, index = 0; !done; index++) {
        const rollup = index % length === length - 1
        last = (await here.log.append('s', subject, output(index), last, { rollup })).seq
      }
    }
    const appending = [appendUntilDone('run.a', 4), appendUntilDone('run.b', 20)]
    const found: string[] = []
    for (let round = 0; round < 40; round++) {
      const newNode = await harness.join()
      const followed: Entry[] = []
      // Half of the rounds follow from the beginning; the others follow from the head, and read the earlier entries.
      const follower = { entries: (more: readonly Entry[]) => void (round % 2 === 0 && followed.push(...more)) }
      await newNode.log.follow('s', round % 2 === 0 ? begin() : await newNode.log.head('s'), follower)
      const entries = round % 2 === 0 ? followed : await collect(newNode.log, 's', begin())
      await newNode.close()
      found.push(...gapsIn(entries))
    }
    done = true
    await Promise.all(appending)
    expect(found).toEqual([])
  })

  it('returns no entry without its predecessor, unless a rollup replaced that', async () => {
    let done = false
    const appendUntilDone = async (subject: string, length: number): Promise<void> => {
      for (let last = 0, index = 0; !done; index++) {
        const rollup = index % length === length - 1
        last = (await here.log.append('s', subject, output(index), last, { rollup })).seq
      }
    }
    const appending = [appendUntilDone('run.a', 5), appendUntilDone('run.b', 23), appendUntilDone('run.c', 90)]
    let after = 0
    let read = 0
    for (let round = 0; round < 60; round++) {
      const entries = await collect(there.log, 's', formatCursor(here.log.epoch, after))
      const before = new Map<string, number>()
      for (const { subject, seq, prev, rollup } of entries) {
        const known = before.get(subject)
        if (known === undefined) expect(rollup || prev <= after).toBe(true)
        else expect(rollup || prev === known).toBe(true)
        before.set(subject, seq)
      }
      // The rollups of missing entries are included, so no subject is missing.
      if (after === 0 && round > 2) expect([...before.keys()].sort()).toEqual(['run.a', 'run.b', 'run.c'])
      read += entries.length
      // Next read: from the end of this one, from the beginning, or from the middle.
      if (round % 3 === 0) after = entries.at(-1)?.seq ?? after
      else if (round % 3 === 1) after = 0
      else after = entries[Math.floor(entries.length / 2)]?.seq ?? after
    }
    done = true
    await Promise.all(appending)
    expect(read).toBeGreaterThan(1000)
  })
})

describe('many readers', () => {
  it('of one session cause one replay', async () => {
    const entries = await appendMany(here.log, 's', 'run.r', 100)
    const requests: string[] = []
    const stream = `${harness.prefix.toUpperCase()}_SESSIONS`
    const watch = nats.subscribe(`$JS.API.DIRECT.GET.${stream}`, {
      callback: (_, { subject }) => void requests.push(subject),
    })
    await nats.flush()
    const readers = await Promise.all(Array.from({ length: 1000 }, () => Reader.open(there.log)))
    for (const reader of readers) expect(reader.seen).toHaveLength(100)
    const reads = await Promise.all(Array.from({ length: 200 }, () => seqsOf(there.log)))
    for (const read of reads) expect(read).toEqual(entries.map(({ seq }) => seq))
    await nats.flush()
    // The last entry of the only subject, its predecessors one by one, and a range of the older ones.
    expect(requests).toHaveLength(1 + 32 + 1)
    watch.unsubscribe()
  })

  it('receive more entries than the cache can hold', async () => {
    await there.close()
    there = await harness.join({ log: { cache: { sessionBytes: 20_000, bytes: 50_000 } } })
    const expected: number[] = []
    for (const session of ['a', 'b', 'c', 'd']) {
      const entries = await appendMany(here.log, session, 'run.r', 30, 'x'.repeat(1000))
      const reader = await Reader.open(there.log, session)
      expected.push(...entries.map(({ seq }) => seq))
      expect(reader.seen).toEqual(entries.map(({ seq }) => seq))
      const more = await appendMany(there.log, session, 'run.z', 30, 'x'.repeat(1000))
      expect(reader.seen).toEqual([...entries, ...more].map(({ seq }) => seq))
      expect(await seqsOf(there.log, session)).toEqual(reader.seen)
      expect((await Reader.open(there.log, session)).seen).toEqual(reader.seen)
    }
    expect(there.log.cachedBytes).toBeLessThanOrEqual(50_000)
  })
})

describe('an event larger than a message', () => {
  it('is stored in parts, delivered live, read on every node, and trimmed', async () => {
    const text = 'é'.repeat(1_200_000)
    const readers = [await Reader.open(here.log), await Reader.open(there.log)]
    const small = await here.log.append('s', 'run.r', output(0), 0)
    const large = await here.log.append('s', 'run.r', output(1, text), small.seq)
    const next = await here.log.append('s', 'run.r', output(2), large.seq)
    for (const reader of readers) {
      await reader.has(3)
      expect(reader.seen).toEqual([small.seq, large.seq, next.seq])
    }
    for (const { log } of [here, there]) {
      const entries = await collect(log, 's', begin())
      expect(entries[1]?.event).toEqual(output(1, text))
    }
    await here.transcripts.save(
      's',
      { cursor: formatCursor(here.log.epoch, large.seq), sealed: 0, entries: [], commands: [] },
      0,
    )
    harness.advance(8 * 24 * 60 * 60 * 1000)
    await here.log.sweep()
    expect((await collect(here.log, 's', formatCursor(here.log.epoch, large.seq))).map(({ seq }) => seq)).toEqual([
      next.seq,
    ])
    const stream = `${harness.prefix.toUpperCase()}_SESSIONS`
    const info = (await nats.request(`$JS.API.STREAM.INFO.${stream}`)).json<{ state: { messages: number } }>()
    expect(info.state.messages).toBe(1)
  })
})
