// Tests the SDK against a real server process, which is killed meanwhile.
import type { Job, RunResult, SessionSnapshot } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import * as sdk from '../index.ts'
import { type ClientOptions, ParleyClient, type Session, tool, type WebSocketConstructor } from '../index.ts'
import { docExamples, forDemoModel } from './doc-examples.ts'
import { until } from './until.ts'

let server: ServerProcess
const clients: ParleyClient[] = []

beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(async () => {
  for (const client of clients) await client.close()
  await server.dispose()
})

function connect(options: Partial<ClientOptions> = {}): ParleyClient {
  const client = new ParleyClient({ url: server.url, reconnect: { baseMs: 20, maxMs: 300 }, ...options })
  clients.push(client)
  return client
}

/** A WebSocket class whose connections a test can cut without notice. */
function droppable(): { readonly WebSocket: WebSocketConstructor; drop(): void } {
  const sockets = new Set<WebSocket>()
  class Droppable extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols)
      sockets.add(this)
      this.once('close', () => sockets.delete(this))
    }
  }
  return {
    WebSocket: Droppable as unknown as WebSocketConstructor,
    drop: () => {
      for (const socket of sockets) if (socket.readyState === WebSocket.OPEN) socket.terminate()
    },
  }
}

function counted(count: number): string {
  return Array.from({ length: count }, (_, i) => String(i)).join(' ')
}

async function all(texts: AsyncIterable<string>): Promise<string> {
  let whole = ''
  for await (const text of texts) whole += text
  return whole
}

function words(session: Session, run: string): number {
  return session.state.runs.get(run)?.next ?? 0
}

describe('the SDK and a real server', () => {
  it('delivers every byte once, despite drops with both codecs and a server that is killed twice', async () => {
    const nets = [droppable(), droppable(), droppable(), droppable()]
    const codecs = ['json', 'msgpack', 'json', 'msgpack'] as const
    const readers = nets.map((net, i) => connect({ codec: codecs[i] ?? 'json', WebSocket: net.WebSocket }))
    const count = 120
    const replies = readers.flatMap((client, i) =>
      Array.from({ length: 8 }, (_, n) => {
        const session = client.session(`sdk_${i}_${n}`)
        return { session, reply: session.send(`/demo count=${count} rate=30`) }
      }),
    )
    const texts = replies.map(({ reply }) => all(reply.text()))
    // By text, because a delayed run stores several numbers in one output.
    const reached = (number: number, count: number): Promise<unknown> => {
      const session = replies[number]?.session as Session
      const { length } = counted(count)
      return until(session, (view) => [...view.runs.values()].some((run) => run.text.length >= length))
    }
    for (const [step, net] of [...nets, ...nets].entries()) {
      await reached(step, 4 + step * 4)
      const reader = readers[step % nets.length] as ParleyClient
      // A drop has no effect on a client that is still connecting.
      await until(reader, ({ status }) => status === 'open')
      net.drop()
      await until(reader, ({ status }) => status !== 'open')
    }
    for (const numbers of [40, 80]) {
      await reached(0, numbers)
      await Promise.all(readers.map((reader) => until(reader, ({ status }) => status === 'open')))
      await server.kill()
      await Promise.all(readers.map((reader) => until(reader, ({ status }) => status !== 'open')))
      await server.start()
    }
    expect(new Set(await Promise.all(texts))).toEqual(new Set([counted(count)]))
    for (const { session, reply } of replies) {
      const run = await reply.result()
      expect(run).toMatchObject({ status: 'completed', text: counted(count) })
      expect(session.state.faults).toBe(0)
      expect(session.state.messages.length).toBe(1)
    }
    for (const client of readers) expect(client.state.resumes).toBeGreaterThanOrEqual(3)
  })

  it('says that an answer has reached a token limit, like the answer, the job and the snapshot over HTTP', async () => {
    const session = connect().session('cut')
    const context = { sampling: { maxOutputTokens: 5 } }
    const run = await session.send('/demo count=50 rate=0', { context }).result()
    expect(run).toMatchObject({ status: 'completed', text: counted(5), cut: true, usage: { outputTokens: 5 } })
    expect((await session.send('/demo count=5 rate=0').result()).cut).toBeUndefined()
    const url = `http://127.0.0.1:${server.port}/v1/sessions/cut`
    const body = JSON.stringify({ content: '/demo count=50 rate=0', context })
    const headers = { 'Content-Type': 'application/json' }
    const answer = (await (await fetch(`${url}/messages`, { method: 'POST', headers, body })).json()) as RunResult
    expect([answer.text, answer.cut]).toEqual([counted(5), true])
    const job = (await (await fetch(`http://127.0.0.1:${server.port}/jobs/${answer.id}`)).json()) as Job
    expect(job.result).toMatchObject({ text: counted(5), cut: true })
    const { messages } = (await (await fetch(url)).json()) as SessionSnapshot
    expect(messages.flatMap((one) => (one.role === 'assistant' ? [one.cut] : []))).toEqual([true, undefined, true])
  })

  it('repairs a session after a lost frame', async () => {
    let lost = 0
    class Lossy extends WebSocket {
      override emit(event: string | symbol, ...args: unknown[]): boolean {
        // Drops one message with outputs in the middle. A slow client is sent several at a time.
        const index = event === 'message' ? Number(/"index":(\d+)/.exec(String(args[0]))?.[1] ?? 0) : 0
        if (lost === 0 && index >= 9) {
          lost += 1
          return true
        }
        return super.emit(event, ...args)
      }
    }
    const session = connect({ WebSocket: Lossy as unknown as WebSocketConstructor }).session('lossy')
    const reply = session.send('/demo count=100 rate=100')
    expect(await all(reply.text())).toBe(counted(100))
    expect(lost).toBe(1)
    expect(session.state.runs.get((await reply.accepted).run)?.text).toBe(counted(100))
  })

  it('shows the same to two clients, and to a third one that opens the session later', async () => {
    const [a, b] = [connect().session('shared'), connect({ codec: 'msgpack' }).session('shared')]
    await Promise.all([a, b].map((session) => until(session, (view) => view.status === 'live')))
    await a.send('/demo count=20 rate=0').result()
    await b.send('/demo count=10 rate=0 reasoning=5').result()
    const c = connect().session('shared')
    await until(c, (view) => view.status === 'live' && view.open.length === 0 && view.messages.length === 2)
    await until(a, (view) => view.runs.size === 2 && view.open.length === 0)
    const picture = ({ state }: Session) => ({
      messages: state.messages,
      runs: [...state.runs.values()].map(({ id, text, parts, status, next }) => ({ id, text, parts, status, next })),
    })
    expect(picture(a)).toEqual(picture(b))
    expect(picture(c)).toEqual(picture(a))
  })

  it('shows a long, compacted session exactly as the earlier readers saw it', async () => {
    const echo = tool({ name: 'echo', execute: (input) => input })
    const observer = connect().session('long', { tools: [echo] })
    for (let i = 0; i < 6; i += 1) {
      await observer
        .send(`/demo count=4000 rate=0 reasoning=${i * 50} ${i % 2 === 0 ? 'tool=echo input={"n":1}' : ''}`)
        .result()
    }
    const cut = observer.send('/demo count=4000 rate=500')
    await until(observer, () =>
      [...observer.state.runs.values()].some((run) => run.status === 'running' && run.next > 50),
    )
    await observer.cancel()
    await cut.result()
    await server.kill()
    await server.start()
    await until(observer, (view) => view.status === 'live')
    const later = connect().session('long')
    await until(later, (view) => view.status === 'live')
    // A cancelled run's usage is known only after its compaction, which earlier readers do not get.
    const picture = ({ state }: Session) => ({
      runs: [...state.runs.values()].map(({ usage: _, ...run }) => run),
      calls: [...state.calls.values()],
    })
    expect(picture(later)).toEqual(picture(observer))
    expect(later.state.messages).toEqual(observer.state.messages)
  })

  it('gets nothing of a run after its cancel resolved', async () => {
    const session = connect().session('cancelled')
    const reply = session.send('/demo count=1000 rate=200')
    const { run } = await reply.accepted
    await until(session, () => words(session, run) > 10)
    await session.cancel()
    const held = session.state.runs.get(run)
    expect(held?.status).toBe('cancelled')
    await session.send('/demo count=5 rate=50').result()
    expect(session.state.runs.get(run)).toEqual(held)
    expect(await all(reply.text())).toBe(held?.text)
  })

  it('redirects: the earlier run ends as superseded, and the new one answers', async () => {
    const session = connect().session('redirected')
    const first = session.send('/demo count=1000 rate=100')
    const { run } = await first.accepted
    await until(session, () => words(session, run) > 5)
    const second = session.redirect('/demo count=7 rate=0')
    expect(await all(second.text())).toBe(counted(7))
    expect(await first.result()).toMatchObject({ status: 'superseded' })
  })

  it('does what the examples of its reference say', async () => {
    const examples = docExamples()
    expect(examples.filter(({ isCallable, code }) => isCallable && code === undefined)).toEqual([])
    const AsyncFunction = (async () => undefined).constructor as new (
      ...args: string[]
    ) => (...args: unknown[]) => unknown
    class LocalClient extends ParleyClient {
      constructor(options: ClientOptions) {
        super({ ...options, url: server.url })
        clients.push(this)
      }
    }
    const nothing = (): void => undefined
    await Promise.all(
      examples.map(async ({ name, code }, at) => {
        if (code === undefined) return
        const client = connect()
        const known = {
          ...sdk,
          ParleyClient: LocalClient,
          client,
          session: client.session(`example_${at}`),
          url: `http://127.0.0.1:${server.port}`,
          z,
          console: { log: nothing, error: nothing },
          process: { stdout: { write: nothing } },
          fetchAccessToken: () => '',
          show: nothing,
          useSyncExternalStore: (subscribe: (listener: () => void) => () => void, snapshot: () => unknown) => {
            subscribe(nothing)()
            return snapshot()
          },
        }
        // In a block, because an example may declare a name that is known.
        const run = new AsyncFunction(...Object.keys(known), `{${forDemoModel(code)}\n}`)
        await expect(Promise.resolve(run(...Object.values(known))), name).resolves.toBeUndefined()
      }),
    )
  })

  it('runs a tool, and one that a person must approve', async () => {
    let adds = 0
    const add = tool({
      name: 'add',
      inputSchema: z.object({ a: z.number(), b: z.number().transform((b) => b + 1) }),
      execute: ({ a, b }) => {
        adds += 1
        return { sum: a + b }
      },
    })
    const wipe = tool({ name: 'wipe', approval: true, execute: () => ({ wiped: true }) })
    const session = connect().session('tools', { tools: [add, wipe] })
    const text = await all(session.send('/demo tool=add input={"a":2,"b":39} count=2 rate=0').text())
    expect(text).toContain('{"sum":42}')
    expect(adds).toBe(1)
    const reply = session.send('/demo tool=wipe input={} count=2 rate=0')
    const { calls } = await until(session, (view) =>
      [...view.calls.values()].some(({ status }) => status === 'deciding'),
    )
    const asked = [...calls.values()].find(({ status }) => status === 'deciding')
    expect(session.state.runs.get((await reply.accepted).run)?.status).toBe('waiting')
    await session.decide(asked?.id ?? '', 'approve')
    expect(await all(reply.text())).toContain('{"wiped":true}')
  })

  it('finishes a tool call that was running when the connection was cut', async () => {
    const net = droppable()
    let runs = 0
    let release = (): void => undefined
    let begin = (): void => undefined
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
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
    const client = connect({ WebSocket: net.WebSocket })
    const session = client.session('slow-tool', { tools: [slow] })
    const whole = all(session.send('/demo tool=slow input={} count=2 rate=0').text())
    await begun
    net.drop()
    await until(client, (state) => state.status === 'open' && state.resumes === 1)
    release()
    expect(await whole).toContain('{"done":true}')
    expect(runs).toBe(1)
  })

  it('steers a run or gives the message a run of its own, and its reply ends either way', async () => {
    const session = connect().session('steered')
    const first = session.send('/demo count=40 rate=100')
    await until(session, (view) => [...view.runs.values()].some((run) => run.next > 5))
    const steering = session.send('/demo count=3 rate=0', { policy: 'steer' })
    const end = await steering.result()
    expect(end.status).toBe('completed')
    expect(end.text.endsWith(counted(3))).toBe(true)
    expect((await first.result()).status).toBe('completed')
  })

  it('rejects refused commands with their code', async () => {
    const session = connect().session('refused')
    await expect(session.send('hi', { model: 'no:such' }).accepted).rejects.toMatchObject({ code: 'model_not_allowed' })
    await expect(session.cancel()).rejects.toMatchObject({ code: 'no_active_run' })
    await expect(session.decide('nothing', 'approve')).rejects.toMatchObject({ code: 'call_not_found' })
    const failing = session.send('/demo count=10 rate=0 fail=3')
    await expect(all(failing.text())).rejects.toMatchObject({ code: 'provider_error' })
    expect(await failing.result()).toMatchObject({ status: 'failed', text: counted(3) })
  })
})
