// Tests transport fallback against a real server process, through a box that blocks, buffers and cuts. Whatever the box
// does, every token arrives once, and the client reports its transport.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import {
  type ClientOptions,
  type Clock,
  type ConnectionState,
  type Door,
  type DoorStorage,
  ParleyClient,
  type Session,
  tool,
} from '../index.ts'
import { Middlebox, type Rules } from './middlebox.ts'
import { until } from './until.ts'

let server: ServerProcess
const clients: ParleyClient[] = []
const boxes: Middlebox[] = []
let names = 0

beforeAll(async () => {
  server = await ServerProcess.start()
})
// Not after each test, because some run concurrently.
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await Promise.all(boxes.map((box) => box.close()))
  await server.dispose()
})

/** The defaults, but faster. */
const SOON: Partial<ClientOptions> = {
  reconnect: { baseMs: 20, maxMs: 200 },
  doors: { timeoutMs: 500, stallMs: 700, probeMs: 300, probeMaxMs: 1_000, holdMs: 150 },
}
/** Never probes during a test. */
const NEVER_UP = { ...SOON.doors, probeMs: 900_000 }
/** On a busy machine, a working stream may be slower than the limits above: only what the box does counts. */
const LIMIT_MS = 600_000
const PATIENT = { connectTimeoutMs: LIMIT_MS, doors: { ...NEVER_UP, timeoutMs: LIMIT_MS, stallMs: LIMIT_MS } }

async function box(rules: Partial<Rules> = {}, target = server.port): Promise<Middlebox> {
  const made = await Middlebox.open(target, rules)
  boxes.push(made)
  return made
}

function connect(url: string, options: Partial<ClientOptions> = {}): ParleyClient {
  const client = new ParleyClient({ url, ...SOON, ...options })
  clients.push(client)
  return client
}

function name(): string {
  names += 1
  return `transports_${names}`
}

function counted(count: number): string {
  return Array.from({ length: count }, (_, i) => String(i)).join(' ')
}

async function all(texts: AsyncIterable<string>): Promise<string> {
  let whole = ''
  for await (const text of texts) whole += text
  return whole
}

/** A clock whose timers of `LIMIT_MS` are in the set instead. */
function clockWith(limits: Set<() => void>): Clock {
  return {
    now: Date.now,
    random: Math.random,
    after(ms, callback) {
      if (ms === LIMIT_MS) {
        limits.add(callback)
        return () => limits.delete(callback)
      }
      const timer = setTimeout(callback, ms)
      return () => clearTimeout(timer)
    },
  }
}

/** Resolves when a run has counted this far. Outputs may be merged, so their number is not counted. */
function reached(session: Session, number: number): Promise<unknown> {
  return until(session, (view) => [...view.runs.values()].some((run) => run.text.includes(` ${number} `)))
}

function uses(client: ParleyClient, door: Door): Promise<ConnectionState> {
  return until(client, ({ status, transport }) => status === 'open' && transport.door === door)
}

const DOORS = ['websocket', 'sse', 'long-poll'] as const

/** Rules that block everything better than a transport. */
const BLOCKED: Readonly<Record<Door, Partial<Rules>>> = {
  websocket: {},
  sse: { upgrades: 'refuse' },
  'long-poll': { upgrades: 'refuse', streams: 'hold' },
}

describe('with an intermediary', () => {
  it.concurrent.each(['refuse', 'cut', 'hang'] as const)(
    'falls back to an event stream if upgrades get: %s',
    async (upgrades) => {
      const gate = await box({ upgrades })
      const limits = new Set<() => void>()
      const client = connect(gate.url, { ...PATIENT, clock: clockWith(limits) })
      const session = client.session(name())
      if (upgrades === 'hang') {
        await vi.waitFor(() => expect(gate.seen.upgrades).toBe(1), LIMIT_MS)
        for (const reach of limits) reach()
      }
      expect(await all(session.send('/demo count=60 rate=100').text())).toBe(counted(60))
      expect(client.state).toMatchObject({ status: 'open', transport: { door: 'sse', why: 'blocked', moves: 0 } })
      expect(session.state.faults).toBe(0)
    },
  )

  it.concurrent.each(['hold', 'swallow', 'refuse'] as const)(
    'falls back to long polling if event streams get: %s',
    async (streams) => {
      const options = streams === 'refuse' ? PATIENT : { doors: NEVER_UP }
      const client = connect((await box({ upgrades: 'refuse', streams })).url, options)
      const session = client.session(name())
      expect(await all(session.send('/demo count=60 rate=50').text())).toBe(counted(60))
      const why = streams === 'refuse' ? 'blocked' : 'buffered'
      // A poll may have delivered all of it before it is clear that the stream is stalled.
      expect((await uses(client, 'long-poll')).transport).toMatchObject({ door: 'long-poll', why })
      expect(session.state.faults).toBe(0)
    },
  )

  it.concurrent('fetches the effect of a command and falls back to long polling if a stream becomes buffered', async () => {
    const gate = await box({ upgrades: 'refuse' })
    const client = connect(gate.url, { doors: NEVER_UP })
    const session = client.session(name())
    await until(session, (view) => view.status === 'live')
    gate.rules.streams = 'hold'
    gate.cut()
    expect(await all(session.send('/demo count=60 rate=50').text())).toBe(counted(60))
    expect((await uses(client, 'long-poll')).transport).toMatchObject({ door: 'long-poll', why: 'buffered' })
  })

  it('falls back from sockets that break early again and again', async () => {
    const gate = await box()
    const client = connect(gate.url, PATIENT)
    const session = client.session(name())
    for (let opens = 1; opens <= 3; opens += 1) {
      await until(client, (state) => state.status === 'open' && state.opens === opens)
      gate.cut()
    }
    expect((await uses(client, 'sse')).transport).toMatchObject({ door: 'sse', why: 'unstable', moves: 1 })
    expect(await all(session.send('/demo count=20 rate=0').text())).toBe(counted(20))
  })

  it('moves up during an answer when the rules are lifted', async () => {
    const gate = await box(BLOCKED['long-poll'])
    const client = connect(gate.url)
    const session = client.session(name())
    await uses(client, 'long-poll')
    const reply = session.send('/demo count=480 rate=80')
    await reached(session, 5)
    gate.rules.streams = 'pass'
    await uses(client, 'sse')
    gate.rules.upgrades = 'pass'
    const { transport } = await uses(client, 'websocket')
    expect(transport).toEqual({ door: 'websocket', moves: 3 })
    expect(session.state.runs.get((await reply.accepted).run)?.status).toBe('running')
    expect(await all(reply.text())).toBe(counted(480))
    expect(session.state.faults).toBe(0)
    // Nothing was lost on the way up: each better transport was open before the client left the other.
    expect(client.state.resumes).toBe(1)
  })

  it('starts with the remembered transport', async () => {
    const gate = await box({ upgrades: 'refuse' })
    const kept = new Map([[`parley.door:${gate.url}`, `sse ${Date.now()}`]])
    const storage: DoorStorage = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
    }
    const client = connect(gate.url, { storage, ...PATIENT })
    await until(client.session(name()), (view) => view.status === 'live')
    expect(client.state.transport).toEqual({ door: 'sse', why: 'remembered', moves: 0 })
    expect(gate.seen.upgrades).toBe(0)
  })
})

describe('the transport stays', () => {
  it('when the server is away: the client reconnects over the same transport', async () => {
    const own = await ServerProcess.start()
    const client = connect((await box({}, own.port)).url)
    const session = client.session(name())
    const reply = session.send('/demo count=100 rate=50')
    await reached(session, 20)
    await own.kill()
    await until(client, (state) => state.attempt >= 3)
    await own.start()
    expect(await all(reply.text())).toBe(counted(100))
    await uses(client, 'websocket')
    await own.dispose()
  })

  it('when the server rejects the access token', async () => {
    const own = await ServerProcess.start({ PARLEY_JWT_SECRET: 'a-secret-of-at-least-32-characters!!' })
    for (const transport of ['auto', 'sse', 'long-poll'] as const) {
      const client = connect((await box({}, own.port)).url, { transport, token: 'not.a.token' })
      client.session(name())
      await until(client, (state) => state.status === 'closed')
      expect(client.state.error).toMatchObject({ closeCode: 4401 })
      expect(client.state.transport).toEqual({ door: transport === 'auto' ? 'websocket' : transport, moves: 0 })
    }
    await own.dispose()
  })
})

describe.concurrent('over every transport', () => {
  /** A client of this server over each transport, each through a box of its own. */
  async function everyTransport(own: ServerProcess): Promise<{ client: ParleyClient; gate: Middlebox }[]> {
    return Promise.all(
      DOORS.map(async (door) => {
        const gate = await box({}, own.port)
        return { client: connect(gate.url, { transport: door }), gate }
      }),
    )
  }

  it('a client gets every byte once, despite cuts and a killed server', async () => {
    const own = await ServerProcess.start()
    const opened = (await everyTransport(own)).map(({ client, gate }) => {
      const sessions = [client.session(name()), client.session(name())] as const
      const texts = sessions.map((session) => all(session.send('/demo count=100 rate=80').text()))
      return { gate, sessions, texts }
    })
    await Promise.all(
      opened.map(async ({ gate, sessions }) => {
        for (const index of [10, 25, 40]) {
          await reached(sessions[0], index)
          gate.cut()
        }
        await reached(sessions[0], 60)
      }),
    )
    await own.kill()
    await own.start()
    for (const { sessions, texts } of opened) {
      expect(await Promise.all(texts)).toEqual(texts.map(() => counted(100)))
      for (const { state } of sessions) expect([state.faults, state.messages.length]).toEqual([0, 1])
    }
    await own.dispose()
  })

  it('a client follows from a stopping node to the next one', async () => {
    const own = await ServerProcess.start({ PARLEY_DRAIN: '2' })
    const opened = (await everyTransport(own)).map(({ client }) => ({ client, session: client.session(name()) }))
    await Promise.all(opened.map(({ session }) => session.send('/demo count=3 rate=0').result()))
    const stopped = own.stop()
    await Promise.all(opened.map(({ client }) => until(client, (state) => state.status !== 'open')))
    await stopped
    await own.start()
    for (const { session } of opened) {
      expect(await all(session.send('/demo count=9 rate=0').text())).toBe(counted(9))
      expect(session.state.messages.length).toBe(2)
    }
    await own.dispose()
  })
})

describe.concurrent.each(DOORS)('over %s', (door) => {
  function open(): ParleyClient {
    return connect(`http://127.0.0.1:${server.port}`, { transport: door })
  }

  it('gets nothing of a run after its cancel resolved', async () => {
    const session = open().session(name())
    const reply = session.send('/demo count=1000 rate=200')
    const { run } = await reply.accepted
    await reached(session, 10)
    await session.cancel()
    const held = session.state.runs.get(run)
    expect(held?.status).toBe('cancelled')
    await session.send('/demo count=5 rate=50').result()
    // A polling client catches up, and may get the usage later.
    expect({ ...session.state.runs.get(run), usage: held?.usage }).toEqual(held)
    expect(await all(reply.text())).toBe(held?.text)
  })

  it('redirects: the earlier run ends as superseded, and the new one answers', async () => {
    const session = open().session(name())
    const first = session.send('/demo count=1000 rate=100')
    await reached(session, 5)
    const second = session.redirect('/demo count=7 rate=0')
    await second.accepted
    const cut = session.state.runs.get((await first.accepted).run)
    expect(cut?.status).toBe('superseded')
    expect(await all(second.text())).toBe(counted(7))
    expect({ ...session.state.runs.get(cut?.id ?? ''), usage: cut?.usage }).toEqual(cut)
  })

  it('runs a tool, and one that a person must approve', async () => {
    let adds = 0
    const add = tool<{ a: number; b: number }>({
      name: 'add',
      execute: ({ a, b }) => {
        adds += 1
        return { sum: a + b }
      },
    })
    const wipe = tool({ name: 'wipe', approval: true, execute: () => ({ wiped: true }) })
    const session = open().session(name(), { tools: [add, wipe] })
    const text = await all(session.send('/demo tool=add input={"a":2,"b":40} count=2 rate=0').text())
    expect(text).toContain('{"sum":42}')
    expect(adds).toBe(1)
    const reply = session.send('/demo tool=wipe input={} count=2 rate=0')
    const isAsked = (view: Session['state']) => [...view.calls.values()].find(({ status }) => status === 'deciding')
    const asked = isAsked(await until(session, (view) => isAsked(view) !== undefined))
    await session.decide(asked?.id ?? '', 'approve')
    expect(await all(reply.text())).toContain('{"wiped":true}')
  })

  it('rejects refused commands with their code', async () => {
    const session = open().session(name())
    await expect(session.send('hi', { model: 'no:such' }).accepted).rejects.toMatchObject({ code: 'model_not_allowed' })
    await expect(session.cancel()).rejects.toMatchObject({ code: 'no_active_run' })
    await expect(session.decide('nothing', 'approve')).rejects.toMatchObject({ code: 'call_not_found' })
    const failing = session.send('/demo count=10 rate=0 fail=3')
    await expect(all(failing.text())).rejects.toMatchObject({ code: 'provider_error' })
  })

  it('shows the same as over other transports', async () => {
    const id = name()
    const session = open().session(id)
    await session.send('/demo count=20 rate=0 reasoning=5').result()
    await session.send('/demo count=10 rate=100').result()
    const other = connect(server.url, { transport: 'websocket' }).session(id)
    await until(other, (view) => view.status === 'live')
    const picture = ({ state }: Session) => ({
      messages: state.messages,
      runs: [...state.runs.values()].map(({ text, parts, status, next }) => ({ text, parts, status, next })),
    })
    expect(picture(session)).toEqual(picture(other))
  })
})

describe('a tool call during a change of transport', () => {
  it.concurrent.each([
    ['sse', 'websocket'],
    ['websocket', 'sse'],
    ['sse', 'long-poll'],
  ] as const)('from %s to %s: its handler runs once, and the server accepts its result', async (from, to) => {
    const gate = await box(BLOCKED[from])
    const client = connect(gate.url)
    let runs = 0
    let release = (): void => undefined
    const begun = new Promise<void>((begin) => {
      const slow = tool({
        name: 'slow',
        execute: () => {
          runs += 1
          begin()
          return new Promise((resolve) => {
            release = () => resolve({ done: true })
          })
        },
      })
      client.session('slow-tool-'.concat(from, to), { tools: [slow] })
    })
    const session = client.session('slow-tool-'.concat(from, to))
    await uses(client, from)
    const whole = all(session.send('/demo tool=slow input={} count=2 rate=0').text())
    await begun
    Object.assign(gate.rules, { upgrades: 'pass', streams: 'pass' }, BLOCKED[to])
    if (to !== 'websocket') gate.cut()
    await uses(client, to)
    release()
    expect(await whole).toContain('{"done":true}')
    expect(runs).toBe(1)
  })
})

const Network = fc.record<Rules>({
  upgrades: fc.constantFrom('pass', 'pass', 'refuse', 'cut', 'hang'),
  streams: fc.constantFrom('pass', 'pass', 'hold', 'swallow', 'refuse'),
})
const Change = fc.record({ after: fc.integer({ min: 1, max: 25 }), network: Network, cut: fc.boolean() })

describe('in a network that changes at random', () => {
  it('no token is lost or repeated, and the client ends at the best transport', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(Change, { minLength: 2, maxLength: 6 }), async (changes) => {
        const gate = await box()
        const client = connect(gate.url)
        const sessions = Array.from({ length: 3 }, () => client.session(name()))
        const replies = sessions.map((session) => session.send('/demo count=120 rate=80'))
        const texts = replies.map((reply) => all(reply.text()))
        let index = 0
        for (const { after, network, cut } of changes) {
          index = Math.min(index + after, 110)
          await reached(sessions[0] as Session, index)
          Object.assign(gate.rules, network)
          if (cut) gate.cut()
        }
        expect(await Promise.all(texts)).toEqual(texts.map(() => counted(120)))
        for (const { state } of sessions) {
          expect(state.faults).toBe(0)
          expect(state.messages.length).toBe(1)
        }
        Object.assign(gate.rules, { upgrades: 'pass', streams: 'pass' })
        await uses(client, 'websocket')
        await client.close()
      }),
      { numRuns: 3, endOnFailure: true },
    )
  })
})
