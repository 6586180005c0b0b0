// Tests that a tool call is claimed once, runs once, is renewed while it runs, and is given up if another client has
// it.
import type { Event } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ParleyClient, type Session, type ToolContext, tool } from '../index.ts'
import { called, ended, message, type Peer, ScriptedServer, started } from '../test/scripted-server.ts'
import { until } from '../test/until.ts'

let server: ScriptedServer
let client: ParleyClient
let session: Session
let peer: Peer
/** One per start of the handler. */
let runs: {
  readonly input: unknown
  readonly context: ToolContext
  finish(output: unknown): void
  fail(e: Error): void
}[]
let onStart: () => void

const OPEN: readonly Event[] = [message('m1', 'r1'), started('r1', 'm1')]

beforeEach(async () => {
  runs = []
  onStart = () => undefined
  server = await ScriptedServer.start()
  client = new ParleyClient({ url: server.url, reconnect: { baseMs: 5, maxMs: 20 } })
  const clock = tool({
    name: 'clock',
    description: 'The time.',
    inputSchema: { type: 'object' },
    execute: (input, context) =>
      new Promise((finish, fail) => {
        runs.push({ input, context, finish, fail })
        onStart()
      }),
  })
  session = client.session('s1', { tools: [clock] })
  peer = await server.accept()
  await peer.welcome()
})
afterEach(async () => {
  await client.close()
  await server.close()
})

function handlerStarted(): Promise<void> {
  if (runs.length > 0) return Promise.resolve()
  return new Promise((resolve) => {
    onStart = resolve
  })
}

function claimed(connection: string, seq: number, until = 30_000): [string, number, readonly Event[]] {
  // Entry times are 1000 + seq, so the lease lasts `until` milliseconds.
  return ['s1', seq, [{ type: 'tool.claimed', run: 'r1', call: 'c1', connection, until: 1_000 + seq + until }]]
}

async function grant(seq: number, leaseMs = 30_000): Promise<void> {
  const { id } = await peer.expect('tool.claim')
  peer.entries(...claimed(peer.id, seq, leaseMs))
  peer.send({ type: 'ok', id, session: 's1', until: 9e12 })
}

describe('tool runner', () => {
  it('declares its tools, claims a call, runs it and sends the result', async () => {
    const attached = peer.expect('attach')
    const { id, tools } = await attached
    expect(tools).toEqual([{ name: 'clock', description: 'The time.', inputSchema: { type: 'object' } }])
    peer.send({ type: 'attached', id, session: 's1', cursor: 'e.0', role: 'owner' })
    peer.send({ type: 'live', session: 's1', cursor: 'e.0' })
    peer.entries('s1', 1, [...OPEN, called('r1', 'c1', 'clock')])
    await grant(4)
    await handlerStarted()
    expect(runs[0]).toMatchObject({ input: { a: 1 }, context: { call: 'c1', session } })
    runs[0]?.finish({ now: 12 })
    expect(await peer.expect('tool.result')).toMatchObject({ call: 'c1', output: { now: 12 } })
  })

  it('claims nothing during a replay, and afterwards only calls that are still on offer', async () => {
    const result: Event = { type: 'tool.result', run: 'r1', call: 'c0', output: 1, by: 'c9' }
    await peer.attach([...OPEN, called('r1', 'c0', 'clock'), result, called('r1', 'c1', 'clock')])
    expect(await peer.expect('tool.claim')).toMatchObject({ call: 'c1' })
  })

  it('ignores calls of unknown tools and of the server', async () => {
    const own = called('r1', 'c2', 'clock')
    await peer.attach([
      ...OPEN,
      called('r1', 'c1', 'other'),
      { ...own, where: 'server' } as Event,
      called('r1', 'c3', 'clock'),
    ])
    expect(await peer.expect('tool.claim')).toMatchObject({ call: 'c3' })
  })

  it('waits for the decision about a call that needs one', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock', { approval: true })])
    await until(session, (view) => view.calls.get('c1')?.status === 'deciding')
    const deciding = session.decide('c1', 'approve')
    const { id } = await peer.expect('tool.decide')
    peer.entries('s1', 4, [{ type: 'tool.decided', run: 'r1', call: 'c1', decision: 'approve', by: 'ann' }])
    peer.send({ type: 'ok', id, session: 's1' })
    await deciding
    await grant(5)
    await handlerStarted()
  })

  it('does not run a call that another client claimed first, but claims it when it is offered again', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    const { id } = await peer.expect('tool.claim')
    peer.entries(...claimed('c9', 4))
    peer.send({ type: 'error', id, code: 'call_claimed', message: 'late', retryable: false })
    peer.entries('s1', 5, [called('r1', 'c1', 'clock', { attempt: 2 })])
    await grant(6)
    await handlerStarted()
    expect(runs.length).toBe(1)
  })

  it('runs nothing that breaks its own declaration, whatever the server grants', async () => {
    const clock = tool({
      name: 'clock',
      inputSchema: { type: 'object', properties: { a: { type: 'string', format: 'date' } } },
      approval: true,
      execute: (input, context) => runs.push({ input, context, finish: () => undefined, fail: () => undefined }),
    })
    await client.close()
    client = new ParleyClient({ url: server.url })
    client.session('s1', { tools: [clock] })
    peer = await server.accept()
    await peer.welcome()
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    await grant(4)
    expect(await peer.expect('tool.result')).toMatchObject({ call: 'c1', error: 'Nobody has approved the call.' })
    const decided: Event = { type: 'tool.decided', run: 'r1', call: 'c2', decision: 'approve', by: 'ann' }
    // The input of `called` is { a: 1 }.
    peer.entries('s1', 5, [called('r1', 'c2', 'clock', { approval: true }), decided])
    const claim = await peer.expect('tool.claim')
    peer.send({ type: 'ok', id: claim.id, session: 's1', until: 9e12 })
    expect(await peer.expect('tool.result')).toMatchObject({
      call: 'c2',
      error: expect.stringContaining('does not match'),
    })
    expect(runs).toEqual([])
  })

  it('waits for the approval that the server asks for when it claims a call', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    const { id } = await peer.expect('tool.claim')
    peer.entries('s1', 4, [called('r1', 'c1', 'clock', { attempt: 2, approval: true })])
    peer.send({ type: 'error', id, code: 'approval_pending', message: 'The call is waiting.', retryable: false })
    await until(session, (view) => view.calls.get('c1')?.status === 'deciding')
    peer.entries('s1', 5, [{ type: 'tool.decided', run: 'r1', call: 'c1', decision: 'approve', by: 'ann' }])
    await grant(6)
    await handlerStarted()
  })

  it('sends the error of a throwing tool to the model', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    await grant(4)
    await handlerStarted()
    runs[0]?.fail(new Error('no battery'))
    const result = await peer.expect('tool.result')
    expect(result).toMatchObject({ call: 'c1', error: 'no battery' })
    expect(result).not.toHaveProperty('output')
  })

  it('sends an error to the model if the server rejects the output', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    await grant(4)
    await handlerStarted()
    runs[0]?.finish('not an object')
    const { id } = await peer.expect('tool.result')
    peer.send({ type: 'error', id, code: 'invalid_tool_output', message: 'It does not fit.', retryable: false })
    expect(await peer.expect('tool.result')).toMatchObject({ call: 'c1', error: 'It does not fit.' })
  })

  it('renews its claim after half the lease, by the server’s clock', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    await grant(4, 200)
    await grant(5, 200)
    await grant(6, 200)
    expect(runs.length).toBe(1)
    expect(runs[0]?.context.signal.aborted).toBe(false)
  })

  it('aborts the handler when another connection has the claim', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    await grant(4)
    await handlerStarted()
    peer.entries(...claimed('c9', 5))
    await until(session, (view) => view.calls.get('c1')?.claim?.connection === 'c9')
    expect(runs[0]?.context.signal.aborted).toBe(true)
    runs[0]?.finish('too late')
    peer.entries('s1', 6, [called('r1', 'c2', 'clock')])
    expect(await peer.expect('tool.claim')).toMatchObject({ call: 'c2' })
  })

  it('aborts the handler when the run is cancelled', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    await grant(4)
    await handlerStarted()
    peer.entries('s1', 5, [ended('r1', 0, 'cancelled')])
    await until(session, (view) => view.activeRun === undefined)
    expect(runs[0]?.context.signal.aborted).toBe(true)
  })

  it('continues a handler across a reconnect, and claims the call when it is offered again', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    await grant(4)
    await handlerStarted()
    peer.drop()
    peer = await server.accept()
    await peer.welcome()
    await peer.attach([], { first: 5 })
    peer.entries('s1', 5, [called('r1', 'c1', 'clock', { attempt: 2 })])
    await grant(6)
    await until(session, (view) => view.calls.get('c1')?.claim?.connection === peer.id)
    runs[0]?.finish(7)
    expect(await peer.expect('tool.result')).toMatchObject({ call: 'c1', output: 7 })
    expect(runs.length).toBe(1)
  })

  it('continues a handler whose renewal was lost with the connection, while the old claim is valid', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    await grant(4, 200)
    await peer.expect('tool.claim')
    peer.drop()
    peer = await server.accept()
    await peer.welcome()
    await peer.attach([], { first: 5 })
    await until(session, (view) => view.status === 'live')
    expect(runs[0]?.context.signal.aborted).toBe(false)
    runs[0]?.finish(7)
    peer.entries('s1', 5, [called('r1', 'c1', 'clock', { attempt: 2 })])
    await grant(6)
    expect(await peer.expect('tool.result')).toMatchObject({ call: 'c1', output: 7 })
    expect(runs.length).toBe(1)
  })

  it('sends a finished result again after a reconnect and after a new offer, with the same id', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    await grant(4)
    await handlerStarted()
    runs[0]?.finish(7)
    const first = await peer.expect('tool.result')
    peer.drop()
    peer = await server.accept()
    await peer.welcome()
    await peer.attach([], { first: 5 })
    const second = await peer.expect('tool.result')
    expect(second).toEqual(first)
    // The server still assigns the call to the old connection.
    peer.send({ type: 'error', id: second.id, code: 'call_not_claimed', message: 'not yours', retryable: false })
    peer.entries('s1', 5, [called('r1', 'c1', 'clock', { attempt: 2 })])
    await grant(6)
    const third = await peer.expect('tool.result')
    expect(third).toEqual(first)
    peer.send({ type: 'ok', id: third.id, session: 's1' })
    peer.entries('s1', 7, [{ type: 'tool.result', run: 'r1', call: 'c1', output: 7, by: peer.id }])
    await until(session, (view) => view.calls.get('c1')?.status === 'completed')
    expect(runs.length).toBe(1)
  })

  it('aborts its handlers when the client is closed', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    await grant(4)
    await handlerStarted()
    await client.close()
    expect(runs[0]?.context.signal.aborted).toBe(true)
  })

  it('claims a call again that is still its own after a reconnect under the same name', async () => {
    await peer.attach([...OPEN, called('r1', 'c1', 'clock')])
    await grant(4)
    await handlerStarted()
    const first = peer
    const lost = first.gone()
    first.drop()
    await lost
    peer = await server.accept()
    await peer.expect('hello')
    peer.send({ type: 'welcome', connection: first.id, user: 'ann', node: 'n1', heartbeatMs: 60_000, limits: {} })
    runs[0]?.finish('noon')
    await peer.attach([], { first: 5 })
    const result = await peer.expect('tool.result')
    expect(result).toMatchObject({ call: 'c1', output: 'noon' })
    expect(runs.length).toBe(1)
  })
})
