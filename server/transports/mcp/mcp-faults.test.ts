// Faults of the log and cancels of legacy clients at the MCP endpoint, over a log whose runs the test drives: no run is left without a
// client by mistake, no run of somebody else ends, and every stream ends in a message or can be resumed.
import type { Event } from '@parley/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionService } from '../../session/session-service.ts'
import { findRun } from '../../session/state/session-state.ts'
import { StorageError } from '../../store/ports/errors.ts'
import type { NodeNews } from '../../store/ports/node-news.ts'
import { StreamReader } from '../test/stream-reader.ts'
import { TransportHarness } from '../test/transport-harness.ts'
import { openMcpTransport } from './mcp-transport.ts'
import { ACCEPT, type Answer, answerOf, type Json, MODERN, meta, request } from './test/mcp-harness.ts'

let h: TransportHarness
/** Called before each access to the session cache by the endpoint, which waits for it. */
let beforeLookUp: () => void | Promise<void>
/** The messages of the server's log. */
let logged: string[]
/** What a message waits for before it is stored. */
let beforeSend: Promise<void>
/** Called when it is stored. */
let afterSend: () => void
/** Whether nodes reach each other. */
let connected: boolean

beforeEach(async () => {
  beforeLookUp = () => undefined
  beforeSend = Promise.resolve()
  afterSend = () => undefined
  connected = true
  logged = []
  const listeners: ((message: unknown) => void)[] = []
  const cancelNews: NodeNews = {
    notify(message) {
      if (connected) for (const listener of listeners) listener(message)
      return connected
    },
    onNotified(listener) {
      listeners.push(listener)
      return { close: () => undefined }
    },
  }
  h = await TransportHarness.open({
    logger: pino({ level: 'error' }, { write: (line) => void logged.push((JSON.parse(line) as { msg: string }).msg) }),
    routes: (ports) => {
      const sessions: SessionCache = overriding(ports.sessions, {
        with: async (id, use) => {
          await beforeLookUp()
          return ports.sessions.with(id, use)
        },
      })
      const service: SessionService = {
        ...ports.service,
        send: async (command, caller) => {
          await beforeSend
          const receipt = await ports.service.send(command, caller)
          afterSend()
          return receipt
        },
      }
      const node = () =>
        openMcpTransport({
          ...ports,
          service,
          sessions,
          cancelNews,
          logger: pino({ enabled: false }),
          version: '1',
          agents: new Map(),
          secrets: async () => [new Uint8Array(32)],
          retentionMs: 3_600_000,
        }).routes
      // The second one stands for another node with the same log.
      return [...node(), ...node().map((route) => ({ ...route, path: `/other${route.path}` }))]
    },
  })
})
afterEach(() => h.close())

function overriding<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(_, key) {
      const own = methods[key as keyof T]
      if (own !== undefined) return own
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const ask = (more: Json = {}, token?: string): Json => ({
  name: 'ask',
  arguments: { message: 'Hello!', ...more },
  _meta: meta(token === undefined ? {} : { progressToken: token }),
})
const HEADERS = { Accept: ACCEPT, 'Content-Type': 'application/json' }
const MODERN_HEADERS = { ...HEADERS, 'MCP-Protocol-Version': MODERN, 'Mcp-Method': 'tools/call', 'Mcp-Name': 'ask' }

const post = (body: unknown, headers: Json = {}, path = '/mcp'): Promise<Response> =>
  h.fetch(path, { method: 'POST', headers: { ...HEADERS, ...headers }, body: JSON.stringify(body) })

async function legacySession(version = '2025-11-25'): Promise<Record<string, string>> {
  const response = await post(request('initialize', { protocolVersion: version, capabilities: {} }))
  return { 'Mcp-Session-Id': response.headers.get('mcp-session-id') ?? '' }
}

const legacyCall = (session: Json, id: unknown, more: Json = {}): Promise<Response> => {
  const { _meta, ...params } = ask(more)
  return post(request('tools/call', { ...params, _meta: { progressToken: 'p' } }, id), session)
}

const cancel = async (session: Json, id: unknown, path = '/mcp'): Promise<number> => {
  const body = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } }
  return (await post(body, session, path)).status
}

const resume = async (session: Json, event: string): Promise<Answer> =>
  answerOf(await h.fetch('/mcp', { headers: { Accept: ACCEPT, ...session, 'Last-Event-ID': event } as never }))

/** The state of the first run of a session. */
const stateOf = (session: string): Promise<string | undefined> =>
  h.sessions.with(session, async ({ state }) => {
    const run = state.messages[0]?.event.run
    return run === undefined ? undefined : (findRun(state, run)?.ended?.reason ?? 'open')
  })

const runOf = (session: string): Promise<string> =>
  h.sessions.with(session, async ({ state }) => state.messages[0]?.event.run ?? '')

async function append(session: string, run: string, event: Partial<Event>): Promise<void> {
  await h.append(session, `run.${run}`, { run, ...event } as Event)
}

const started = (epoch: number, next: number): Partial<Event> =>
  ({ type: 'run.started', epoch, mode: epoch === 1 ? 'new' : 'restart', model: 'demo', message: 'm', next }) as never
const ended = (next: number): Partial<Event> =>
  ({ type: 'run.ended', reason: 'completed', usage: { inputTokens: 1, outputTokens: 1 }, next }) as never

const fail = (): never => {
  throw new StorageError('unavailable')
}

it('logs no error if a client disconnects before it is refused', async () => {
  let refuse = (): void => undefined
  const refused = new Promise<void>((resolve) => {
    refuse = resolve
  })
  let waiting = 0
  beforeLookUp = () => {
    waiting += 1
    return refused
  }
  const aborter = new AbortController()
  const body = JSON.stringify(request('resources/read', { uri: 'parley://sessions/none', _meta: meta() }))
  const headers = { ...MODERN_HEADERS, 'Mcp-Method': 'resources/read', 'Mcp-Name': 'parley://sessions/none' }
  const answer = h.fetch('/mcp', { method: 'POST', headers, body, signal: aborter.signal })
  await expect.poll(() => waiting).toBe(1)
  aborter.abort()
  await expect(answer).rejects.toThrow()
  await expect.poll(() => h.http.requests).toBe(0)
  refuse()
  // The log has been read by the time that a later request is answered.
  await post(request('ping'), await legacySession())
  expect(logged).toEqual([])
})

describe('a fault of the log', () => {
  it('after the message was stored ends a modern call in an error, and cancels its run', async () => {
    beforeLookUp = fail
    const answer = await answerOf(await post(request('tools/call', ask({ session: 'modern' })), MODERN_HEADERS))
    expect(answer.status).toBe(200)
    expect(answer.messages).toMatchObject([{ id: 1, error: { code: -32000, data: { code: 'unavailable' } } }])
    await expect.poll(() => stateOf('modern')).toBe('cancelled')
    const whole = await post(request('tools/call', ask({ session: 'whole' })), {
      ...MODERN_HEADERS,
      Accept: 'application/json',
    })
    expect([whole.status, await whole.json()]).toMatchObject([503, { error: { code: -32000 } }])
    await expect.poll(() => stateOf('whole')).toBe('cancelled')
    await answerOf(await post(request('tools/call', ask({ session: 'kept', keep: true })), MODERN_HEADERS))
    expect(await stateOf('kept')).toBe('open')
  })

  it('while the message is stored fails a modern call, and cancels its run, unless the client may find it again', async () => {
    afterSend = fail
    const ask503 = async (more: Json, headers: Json = {}) =>
      (await post(request('tools/call', ask(more)), { ...MODERN_HEADERS, ...headers })).status
    const statuses = [
      await ask503({ session: 's' }),
      await ask503({ session: 'kept', keep: true }),
      await ask503({ session: 'keyed' }, { 'Idempotency-Key': 'key' }),
    ]
    expect(statuses).toEqual([503, 503, 503])
    await expect.poll(() => stateOf('s'), { timeout: 20_000 }).toBe('cancelled')
    expect([await stateOf('kept'), await stateOf('keyed')]).toEqual(['open', 'open'])
  })

  it('ends a legacy stream, which the client resumes; one without any event ends in the error', async () => {
    const session = await legacySession()
    const old = await legacySession('2025-06-18')
    beforeLookUp = fail
    const cut = await answerOf(await legacyCall(session, 1, { session: 's' }))
    expect([cut.status, cut.messages, cut.ids.length]).toEqual([200, [], 1])
    expect((await answerOf(await legacyCall(old, 1))).messages).toMatchObject([
      { id: 1, error: { code: -32000, data: { code: 'unavailable' } } },
    ])
    expect((await resume(session, cut.ids[0] ?? '')).status).toBe(503)
    beforeLookUp = () => undefined
    const run = await runOf('s')
    const resumed = resume(session, cut.ids[0] ?? '')
    await append('s', run, started(1, 0))
    await h.say('s', run, 0, 2)
    // It can no longer be read whether the run has ended.
    beforeLookUp = fail
    await append('s', run, ended(2))
    const again = await resumed.then(({ ids }) => ids.at(-1) ?? '')
    beforeLookUp = () => undefined
    const { messages } = await resume(session, again)
    expect(messages.at(-1)).toMatchObject({
      id: 1,
      result: { structuredContent: { text: ' 0 1', state: 'completed' } },
    })
  })

  it('or a run or session that is gone is no lost MCP session', async () => {
    const session = await legacySession()
    const reader = new StreamReader(await legacyCall(session, 1, { session: 's' }))
    const event = (await reader.next())?.id ?? ''
    const [origin = ''] = event.split('.')
    const [id, token, name] = JSON.parse(Buffer.from(origin, 'base64url').toString()) as unknown[]
    const other = Buffer.from(JSON.stringify([id, token, name, 'run_unknown'])).toString('base64url')
    const answer = await resume(session, event.replace(origin, other))
    expect([answer.status, answer.messages]).toMatchObject([
      400,
      [{ error: { code: -32000, data: { code: 'run_not_found' } } }],
    ])
    expect((await h.fetch('/v1/sessions/s', { method: 'DELETE' })).status).toBe(204)
    expect((await resume(session, event)).status).toBe(400)
    expect(await cancel(session, 1)).toBe(202)
    await reader.cancel()
  })
})

describe('a restart of the run', () => {
  it('repeats no progress, also for a client that resumes, and progress grows', async () => {
    const session = await legacySession()
    const reader = new StreamReader(await legacyCall(session, 1, { session: 's' }))
    await reader.next()
    const run = await runOf('s')
    await append('s', run, started(1, 0))
    await h.say('s', run, 0, 3)
    const before = await reader.until(({ data }) => data.includes('" 2"'))
    await append('s', run, started(2, 3))
    await h.say('s', run, 3, 8, (index) => ` ${index - 3}`)
    const after = await reader.until(({ data }) => data.includes('" 4"'))
    const resumed = new StreamReader(
      await h.fetch('/mcp', {
        headers: { Accept: ACCEPT, ...session, 'Last-Event-ID': before.at(-1)?.id ?? '' } as never,
      }),
    )
    const rest = await resumed.until(({ data }) => data.includes('" 4"'))
    const of = (events: readonly { data: string }[]) =>
      events.map(({ data }) => (JSON.parse(data) as { params: { message: string; progress: number } }).params)
    expect(of(before).map(({ message }) => message)).toEqual([' 0', ' 1', ' 2'])
    expect(of(after).map(({ message }) => message)).toEqual([' 3', ' 4'])
    expect(of(rest)).toEqual(of(after))
    const values = of([...before, ...after]).map(({ progress }) => progress)
    expect(values).toEqual([...new Set(values)].sort((a, b) => a - b))
    await append('s', run, ended(8))
    for (const each of [reader, resumed]) expect((await each.next())?.data).toContain('0 1 2 3 4')
  })
})

describe('a cancel of a legacy call', () => {
  const open = async (session: Json, id: unknown, more: Json): Promise<StreamReader> => {
    const reader = new StreamReader(await legacyCall(session, id, more))
    await reader.next()
    return reader
  }

  it('ends its run, and the client gets no answer', async () => {
    const session = await legacySession()
    const reader = await open(session, 1, { session: 's' })
    expect(await cancel(session, 1)).toBe(202)
    expect(await reader.next()).toBeUndefined()
    expect(await stateOf('s')).toBe('cancelled')
    expect(await cancel(session, 1)).toBe(202)
  })

  it('does not end a run that the message steers', async () => {
    const session = await legacySession()
    const first = await open(session, 1, { session: 's' })
    await append('s', await runOf('s'), started(1, 0))
    const second = await open(session, 2, { session: 's', policy: 'steer' })
    expect(await cancel(session, 2)).toBe(202)
    expect(await second.next()).toBeUndefined()
    expect(await stateOf('s')).toBe('open')
    await first.cancel()
  })

  it('does not end a run that is kept, whose stream ends, also where it was resumed', async () => {
    const session = await legacySession()
    const response = await legacyCall(session, 1, { session: 's', keep: true })
    const reader = new StreamReader(response)
    const event = (await reader.next())?.id ?? ''
    const resumed = resume(session, event)
    expect(await cancel(session, 1)).toBe(202)
    expect(await reader.next()).toBeUndefined()
    expect((await resumed).messages).toEqual([])
    expect((await resume(session, event)).messages).toEqual([])
    expect(await stateOf('s')).toBe('open')
  })

  it('that comes before the message is stored ends the run', async () => {
    const session = await legacySession()
    let store = (): void => undefined
    beforeSend = new Promise((resolve) => {
      store = resolve
    })
    const called = legacyCall(session, 1, { session: 's' })
    await expect.poll(() => h.http.requests).toBe(1)
    expect(await cancel(session, 1)).toBe(202)
    store()
    expect((await answerOf(await called)).messages).toEqual([])
    await expect.poll(() => stateOf('s')).toBe('cancelled')
  })

  it('that overtakes the call leaves nothing to do', async () => {
    const session = await legacySession()
    expect(await cancel(session, 1)).toBe(202)
    expect((await answerOf(await legacyCall(session, 1, { session: 's' }))).messages).toEqual([])
    expect(await stateOf('s')).toBeUndefined()
  })

  describe('that another node gets', () => {
    const OTHER = '/other/mcp'

    it('ends its run, also in a session that the call names', async () => {
      const session = await legacySession()
      const reader = await open(session, 1, { session: 's' })
      expect(await cancel(session, 1, OTHER)).toBe(202)
      expect(await reader.next()).toBeUndefined()
      await expect.poll(() => stateOf('s')).toBe('cancelled')
    })

    it('ends no run that is kept, and none of another client', async () => {
      const session = await legacySession()
      const others = await open(await legacySession(), 1, { session: 's' })
      const reader = await open(session, 1, { session: 'kept', keep: true })
      expect(await cancel(session, 1, OTHER)).toBe(202)
      expect(await reader.next()).toBeUndefined()
      expect([await stateOf('s'), await stateOf('kept')]).toEqual(['open', 'open'])
      await others.cancel()
    })

    it('before the call leaves nothing to do', async () => {
      const session = await legacySession()
      expect(await cancel(session, 1, OTHER)).toBe(202)
      expect((await answerOf(await legacyCall(session, 1, { session: 's' }))).messages).toEqual([])
      expect(await stateOf('s')).toBeUndefined()
    })

    it('ends the run of a call that it has resumed, or that has a session of its own, if the first node is gone', async () => {
      const session = await legacySession()
      const resumed: StreamReader[] = []
      for (const [id, more] of [{ session: 's' }, { session: 'kept', keep: true }].entries()) {
        const reader = new StreamReader(await legacyCall(session, id, more))
        const headers = { Accept: ACCEPT, ...session, 'Last-Event-ID': (await reader.next())?.id ?? '' } as never
        await reader.cancel()
        resumed.push(new StreamReader(await h.fetch(OTHER, { headers })))
      }
      const own = await open(session, 2, {})
      connected = false
      for (const id of [0, 1, 2]) expect(await cancel(session, id, OTHER)).toBe(202)
      for (const reader of [...resumed, own]) expect(await reader.next()).toBeUndefined()
      expect([await stateOf('s'), await stateOf('kept')]).toEqual(['cancelled', 'open'])
    })
  })
})
