// The JetStream log while NATS is disconnected, killed or full: every acknowledged entry is stored exactly once, and
// readers miss nothing.
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '@nats-io/transport-node'
import { formatCursor } from '@parley/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../../bench/cluster/nats-server.ts'
import { TcpProxy } from '../../../../bench/cluster/tcp-proxy.ts'
import { collect, output } from '../../contracts/session-log.contract.ts'
import type { Entry } from '../../ports/entry.ts'
import { Conflict, CursorLost, StorageError } from '../../ports/errors.ts'
import type { SessionLog } from '../../ports/session-log.ts'
import { JetStreamHarness } from '../../test/jetstream-harness.ts'
import type { JetStreamStores } from '../stores.ts'

let server: NatsServer
let harness: JetStreamHarness
let proxy: TcpProxy
/** A node that connects through the proxy. */
let far: JetStreamStores

beforeAll(async () => {
  server = await NatsServer.start()
  proxy = await TcpProxy.open(server.port)
})
afterAll(async () => {
  await proxy.close()
  await server.dispose()
})
beforeEach(async () => {
  harness = await JetStreamHarness.open(server)
  far = await harness.join({ url: `nats://127.0.0.1:${proxy.port}` })
})
afterEach(async () => {
  proxy.heal()
  await far.close()
  await harness.close()
})

const begin = (): string => formatCursor(harness.log.epoch, 0)
const unavailable = new StorageError('unavailable')

/** Resolves when the connection is in the state. */
function reaches(stores: JetStreamStores, state: 'live' | 'away'): Promise<void> {
  if (stores.connection.state === state) return Promise.resolve()
  return new Promise((resolve) => {
    const watch = stores.connection.onState((now) => {
      if (now !== state) return
      watch.close()
      resolve()
    })
  })
}

/** Appends to a subject that nobody else uses, so that a conflict would be with its own append. */
async function appendUntil(stores: JetStreamStores, session: string, until: () => boolean): Promise<Entry[]> {
  const entries: Entry[] = []
  while (!until()) {
    const last = entries.at(-1)?.seq ?? 0
    entries.push(await stores.log.append(session, `run.${session}`, output(entries.length), last))
  }
  return entries
}

describe('a connection that breaks', () => {
  it('stores each append once, and its readers miss nothing', async () => {
    const seen: number[] = []
    const names = Array.from({ length: 20 }, (_, i) => `s${i}`)
    await far.log.follow('s0', begin(), { entries: (batch) => seen.push(...batch.map(({ seq }) => seq)) })
    let done = false
    const near = appendUntil(harness.stores, 's0', () => done)
    const appending = names.slice(1).map((name) => appendUntil(far, name, () => done))
    for (let round = 0; round < 6; round++) {
      await sleep(40)
      proxy.change({ kind: 'cut' })
      await reaches(far, 'away')
      proxy.heal()
      await reaches(far, 'live')
    }
    done = true
    const all = await Promise.all([near, ...appending])
    for (const [index, entries] of all.entries()) {
      const stored = await collect(far.log, names[index] as string, begin())
      expect(stored.map(({ seq, json }) => [seq, json])).toEqual(entries.map(({ seq, json }) => [seq, json]))
    }
    expect(seen).toEqual(all[0]?.map(({ seq }) => seq))
  })

  it('delays appends, and rejects them after the deadline', async () => {
    await far.close()
    const limits = { deadlineMs: 300, attemptMs: 100 }
    far = await harness.join({ url: `nats://127.0.0.1:${proxy.port}`, log: { limits } })
    await far.log.follow('s', begin(), { entries: () => undefined })
    expect(far.log.state).toEqual({ state: 'live' })
    proxy.change({ kind: 'cut' })
    await reaches(far, 'away')
    expect(far.log.state).toMatchObject({ state: 'away' })
    await expect(far.log.append('s', 'run.r', output(0), 0)).rejects.toEqual(unavailable)
    await expect(collect(far.log, 's', begin())).rejects.toEqual(unavailable)
    await expect(far.log.follow('t', begin(), { entries: () => undefined })).rejects.toEqual(unavailable)
    proxy.heal()
    await reaches(far, 'live')
    const entry = await far.log.append('s', 'run.r', output(0), 0)
    expect((await collect(harness.log, 's', begin())).map(({ seq }) => seq)).toEqual([entry.seq])
    // An append may be acknowledged while the followed session is still compared with the log.
    await expect.poll(() => far.log.state).toEqual({ state: 'live' })
  })

  it('delivers the missed entries of thousands of followed sessions after the reconnect', async () => {
    const names = Array.from({ length: 1500 }, (_, i) => `s${i}`)
    const seen = new Map<string, number[]>(names.map((name) => [name, []]))
    await Promise.all(
      names.map((name) => {
        const entries = (batch: readonly Entry[]): void => void seen.get(name)?.push(...batch.map(({ seq }) => seq))
        return far.log.follow(name, begin(), { entries })
      }),
    )
    proxy.change({ kind: 'cut' })
    await reaches(far, 'away')
    const appended = await Promise.all(
      names.map(async (name, i) => {
        const first = await harness.log.append(name, 'run.r', output(0), 0)
        const second = await harness.log.append(
          name,
          i % 2 === 0 ? 'run.r' : 'in.c',
          output(1),
          i % 2 === 0 ? first.seq : 0,
        )
        return [first.seq, second.seq]
      }),
    )
    proxy.heal()
    await reaches(far, 'live')
    // A read is answered when its session is live again.
    const heads = await Promise.all(names.map((name) => collect(far.log, name, begin())))
    expect(heads.map((entries) => entries.map(({ seq }) => seq))).toEqual(appended)
    expect([...seen.values()]).toEqual(appended)
    await expect.poll(() => far.log.state).toEqual({ state: 'live' })
  })

  it('queues no more appends than its limit', async () => {
    await far.close()
    const limits = { inFlight: 3, queueEntries: 10 }
    far = await harness.join({ url: `nats://127.0.0.1:${proxy.port}`, log: { limits } })
    proxy.change({ kind: 'cut' })
    await reaches(far, 'away')
    // An append to an existing subject is queued without a network round trip.
    const calls = Array.from({ length: 15 }, (_, i) => far.log.append('s', `run.${i}`, output(i), 7))
    const results = Promise.allSettled(calls)
    proxy.heal()
    const reasons = (await results).map((result) => (result.status === 'rejected' ? result.reason : undefined))
    expect(reasons.filter((reason) => reason instanceof Conflict)).toHaveLength(10)
    expect(reasons.filter((reason) => reason instanceof StorageError)).toHaveLength(5)
  })

  it('that becomes silent is replaced, and messages sent into it are stored once', async () => {
    const first = await far.log.append('s', 'run.r', output(0), 0)
    const seen: number[] = []
    await far.log.follow('s', begin(), { entries: (batch) => seen.push(...batch.map(({ seq }) => seq)) })
    proxy.change({ kind: 'silent' })
    const second = far.log.append('s', 'run.r', output(1), first.seq)
    await sleep(300)
    // All messages arrive now, and those that were sent again meanwhile.
    proxy.heal()
    const third = await far.log.append('s', 'run.r', output(2), (await second).seq)
    expect(await collect(harness.log, 's', begin())).toHaveLength(3)
    expect(seen).toEqual([first.seq, (await second).seq, third.seq])
  })
})

describe('a nats-server that is killed and started again', () => {
  it('has every acknowledged entry once, and readers continue', async () => {
    const seen: number[] = []
    const names = Array.from({ length: 10 }, (_, i) => `s${i}`)
    await far.log.follow('s0', begin(), { entries: (batch) => seen.push(...batch.map(({ seq }) => seq)) })
    let done = false
    const appending = names.map((name) => appendUntil(harness.stores, name, () => done))
    for (let round = 0; round < 3; round++) {
      await sleep(50)
      await server.restart('SIGKILL')
      await Promise.all([reaches(harness.stores, 'live'), reaches(far, 'live')])
    }
    done = true
    const all = await Promise.all(appending)
    for (const [index, entries] of all.entries()) {
      const stored = await collect(far.log, names[index] as string, begin())
      expect(stored.map(({ seq }) => seq)).toEqual(entries.map(({ seq }) => seq))
    }
    expect(seen).toEqual(all[0]?.map(({ seq }) => seq))
  })
})

describe('a log that is recreated while a node is running', () => {
  it('ends the readers of that node, which rejects further appends', async () => {
    const lost = new Promise<Error>((resolve) => {
      const follower = { entries: () => undefined, lost: resolve }
      far.log.follow('s', begin(), follower).catch(() => undefined)
    })
    await far.log.append('s', 'run.r', output(0), 0)
    const nats = await connect({ servers: server.url })
    for (const kind of ['SESSIONS', 'MARKS']) {
      await nats.request(`$JS.API.STREAM.DELETE.${harness.prefix.toUpperCase()}_${kind}`)
    }
    await nats.close()
    const other = await harness.join()
    expect(other.log.epoch).not.toBe(far.log.epoch)
    proxy.change({ kind: 'cut' })
    await reaches(far, 'away')
    proxy.heal()
    expect(await lost).toBeInstanceOf(CursorLost)
    await expect(collect(far.log, 's', begin())).rejects.toEqual(new CursorLost('foreign'))
    await expect(far.log.append('s', 'run.r', output(0), 0)).rejects.toEqual(unavailable)
    expect(far.log.state).toMatchObject({ state: 'away' })
    await other.close()
  })
})

describe('a missing stream while NATS is connected', () => {
  it('makes the log unavailable, and its replacement has another history', async () => {
    const states: string[] = []
    const next = (): Promise<string> => {
      return new Promise((resolve) => {
        const watch = far.log.health.onState((state) => {
          watch.close()
          states.push(state)
          resolve(state)
        })
      })
    }
    const outageReported = new Promise<boolean>((resolve) => far.outage.onChange(resolve))
    const lost = new Promise<Error>((resolve) => {
      far.log.follow('s', begin(), { entries: () => undefined, lost: resolve }).catch(() => undefined)
    })
    await far.log.append('s', 'run.r', output(0), 0)
    expect([far.log.health.state, far.log.health.awayMs]).toEqual(['live', 0])
    const nats = await connect({ servers: server.url })
    const api = `$JS.API.STREAM.DELETE.${harness.prefix.toUpperCase()}_SESSIONS`
    const away = next()
    await nats.request(api)
    expect(await away).toBe('away')
    expect(await outageReported).toBe(true)
    expect(far.connection.state).toBe('live')
    expect(far.log.health.awayMs).toBeGreaterThan(0)
    const other = await harness.join()
    expect(await lost).toEqual(new CursorLost('foreign'))
    await expect(far.log.append('s', 'run.r', output(0), 0)).rejects.toEqual(unavailable)
    expect(far.log.health.state).toBe('away')
    await other.close()
    await nats.close()
  })
})

describe('a stream that is full', () => {
  it('rejects appends as full, keeps its entries, and accepts appends after trimming', async () => {
    await harness.close()
    harness = await JetStreamHarness.open(server, { streams: { maxBytes: 100_000 } })
    const stored: Entry[] = []
    const fill = async (): Promise<void> => {
      for (;;) {
        const event = output(stored.length, 'x'.repeat(5_000))
        stored.push(await harness.log.append('s', 'run.r', event, stored.at(-1)?.seq ?? 0))
      }
    }
    await harness.log.probe()
    await expect(fill()).rejects.toEqual(new StorageError('full'))
    // There is room for smaller entries.
    await harness.log.probe()
    expect(stored.length).toBeGreaterThan(10)
    expect((await collect(harness.log, 's', begin())).map(({ seq }) => seq)).toEqual(stored.map(({ seq }) => seq))
    const last = stored.at(-1) as Entry
    const cursor = formatCursor(harness.log.epoch, last.seq)
    await harness.transcripts.save('s', { cursor, sealed: 0, entries: [], commands: [] }, 0)
    harness.advance(8 * 24 * 60 * 60 * 1000)
    await harness.log.sweep()
    const next = await harness.log.append('s', 'run.r', output(0, 'y'.repeat(5_000)), last.seq)
    expect(next.prev).toBe(last.seq)
    expect((await collect(harness.log, 's', cursor)).map(({ seq }) => seq)).toEqual([next.seq])
  })
})

// A node was ready for traffic while JetStream refused everything.
describe('a probe', () => {
  const fill = async (log: SessionLog, bytes: number): Promise<void> => {
    for (let last = 0, index = 0; ; index++) {
      last = (await log.append('s', 'run.r', output(index, 'x'.repeat(bytes)), last)).seq
    }
  }

  it('fails while the session streams are full', async () => {
    await harness.close()
    harness = await JetStreamHarness.open(server, { streams: { maxBytes: 20_000, partitions: 2 } })
    const full = async (session: string): Promise<void> => {
      for (let index = 0, last = 0; ; index++) {
        last = (await harness.log.append(session, 'run.r', output(index), last)).seq
      }
    }
    await expect(full('s')).rejects.toEqual(new StorageError('full'))
    // Sessions of the other stream can still be stored.
    await harness.log.probe()
    const others = await Promise.allSettled(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(full))
    expect(others.every(({ status }) => status === 'rejected')).toBe(true)
    await expect(harness.log.probe()).rejects.toEqual(new StorageError('full'))
  })

  it('fails while the server has no space for any stream, and works again when it has', async () => {
    const small = await NatsServer.start({ jetstream: 'max_file_store: 2MB' })
    const node = await JetStreamHarness.open(small)
    await node.log.probe()
    await expect(fill(node.log, 50_000)).rejects.toEqual(new StorageError('full'))
    await expect(node.log.probe()).rejects.toEqual(new StorageError('full'))
    await node.log.purge('s', undefined)
    await node.log.probe()
    await node.close()
    await small.dispose()
  })
})

describe('trimming with a grace period', () => {
  it('writes watermarks first and purges later, so that a trimmed subject never counts as a new one', async () => {
    const log = { graceMs: 900 }
    await far.close()
    await harness.close()
    harness = await JetStreamHarness.open(server, { log, retention: { maxAgeMs: 1_000 } })
    far = await harness.join()
    const message = await harness.log.append('s', 'in.c', output(0), 0)
    const run = await harness.log.append('s', 'run.r', output(0), 0)
    const cursor = formatCursor(harness.log.epoch, run.seq)
    await harness.transcripts.save('s', { cursor, sealed: 0, entries: [], commands: [] }, 0)
    // This node has just cached that nothing was ever trimmed.
    await expect(far.log.append('s', 'in.c', output(1), 0)).rejects.toEqual(new Conflict(message.seq))
    harness.advance(10_000)
    await harness.log.sweep()
    await expect(far.log.append('s', 'in.c', output(1), 0)).rejects.toEqual(new Conflict(message.seq))
    await expect(collect(harness.log, 's', begin())).rejects.toEqual(new CursorLost('trimmed'))
    const isThere = async (): Promise<boolean> => (await entriesOf()) > 0
    expect(await isThere()).toBe(true)
    for (let i = 0; i < 100 && (await isThere()); i++) {
      await sleep(50)
      await (i % 2 === 0 ? far : harness.stores).log.sweep()
    }
    expect(await isThere()).toBe(false)
    for (const { log: each } of [far, harness.stores]) {
      await expect(each.append('s', 'in.c', output(1), 0)).rejects.toEqual(new Conflict(message.seq))
      await expect(collect(each, 's', begin())).rejects.toEqual(new CursorLost('trimmed'))
      expect(await each.head('s')).toBe(cursor)
      expect(await each.last('s', 'run.r')).toBe(run.seq)
    }
    const next = await far.log.append('s', 'run.r', output(1), run.seq)
    expect((await collect(harness.log, 's', cursor)).map(({ seq }) => seq)).toEqual([next.seq])
    await expect(harness.log.append('s', 'run.r', output(1), run.seq)).rejects.toEqual(new Conflict(next.seq))
  })

  async function entriesOf(): Promise<number> {
    const stream = `${harness.prefix.toUpperCase()}_SESSIONS`
    const jsz = (await server.monitor('/jsz?streams=1&accounts=1')) as {
      account_details: { stream_detail: { name: string; state: { messages: number } }[] }[]
    }
    const all = jsz.account_details.flatMap(({ stream_detail }) => stream_detail)
    return all.find(({ name }) => name === stream)?.state.messages ?? 0
  }
})
