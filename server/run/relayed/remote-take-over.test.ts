// A run whose driver is lost continues with the answer of a remote agent that the relay kept: over a real relay, agent and log.
import type { Event, RunEnded } from '@parley/protocol'
import pino from 'pino'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { AgentServer } from '../../model/agui/test/agent-server.ts'
import { Relay } from '../../model/relay-fetch.ts'
import { RelayServer } from '../../relay/relay-server.ts'
import { relayTargets } from '../../relay/relay-target.ts'
import { defineTool } from '../../tool/define-tool.ts'
import { CALLER, EngineHarness } from '../test/engine-harness.ts'

const SECRET = 'a-secret-of-at-least-32-bytes-for-the-relay'
const logger = pino({ level: 'silent' })
const LIMITS = { streams: 9, streamBytes: 1e6, bytes: 1e7, requestBytes: 1e6, orphanMs: 60_000, streamMs: 60_000 }

let agent: AgentServer
let relayServer: RelayServer
let relay: Relay
let h: EngineHarness
let made: string[]
beforeEach(async () => {
  made = []
  agent = await AgentServer.start()
  relayServer = new RelayServer({ secrets: [SECRET], targets: relayTargets([agent.url]), limits: LIMITS, logger })
  const port = await relayServer.listen({ host: '127.0.0.1', port: 0 })
  relay = new Relay({ urls: [`http://127.0.0.1:${port}`], secret: SECRET, logger })
  const inputSchema = z.object({ city: z.string() })
  const execute = ({ city }: { readonly city: string }) => made.push(city)
  h = await EngineHarness.start({
    serverTools: [defineTool({ name: 'warmth', inputSchema, execute })],
    agents: new Map([['planner', { agui: agent.url }]]),
    remote: { fetch: relay.fetch(fetch), relayed: true },
    relay,
  })
})
afterEach(async () => {
  await h.dispose()
  relay.close()
  await relayServer.close()
  await agent.stop()
})

const ask = () => h.send('s', 'Go', { agent: 'planner' })
const output = (text: string): Promise<Event> =>
  h.event('s', 'run.output', (event) => 'text' in event && event.text === text)
const ended = (): Promise<RunEnded> => h.event('s', 'run.ended')
const started = (epoch: number) => h.event('s', 'run.started', (event) => event.epoch === epoch)

async function restart(): Promise<void> {
  await h.close()
  await h.open()
}

function texts({ output: parts = [] }: RunEnded): string[] {
  return parts.flatMap((part) => (part.type === 'text' ? [part.text] : []))
}

it('continues in the middle of an answer, with one request to the agent', async () => {
  await ask()
  const request = (await agent.next()).begin()
  request.call('own_1', 'search', { q: 'a' }).result('own_1', 'found')
  request
    .send('STATE_SNAPSHOT', { snapshot: { step: 1 } })
    .send('TEXT_MESSAGE_START', { messageId: 'm1', role: 'assistant' })
  request.send('TEXT_MESSAGE_CONTENT', { messageId: 'm1', delta: 'one ' })
  await output('one ')
  await h.event('s', 'tool.result')
  await restart()
  expect(await started(2)).toMatchObject({ mode: 'continue' })
  request.send('TEXT_MESSAGE_CONTENT', { messageId: 'm1', delta: 'two' })
  request.send('STATE_DELTA', { delta: [{ op: 'replace', path: '/step', value: 2 }] })
  request.call('own_2', 'search', { q: 'b' }).result('own_2', 'found too')
  request.call('tc', 'warmth', { city: 'Oslo' }).finish()
  const second = await agent.next()
  expect(second.input.state).toEqual({ step: 2 })
  expect(second.input.messages.filter(({ role }) => role === 'tool')).toHaveLength(3)
  second.begin().text('End.', 'm2').finish()
  const end = await ended()
  expect(end).toMatchObject({ reason: 'completed' })
  expect(texts(end).join('')).toMatch(/^one two\s*End\.$/)
  expect(end.output?.filter(({ type }) => type === 'tool')).toHaveLength(3)
  expect(made).toEqual(['Oslo'])
  expect(agent.requests).toHaveLength(2)
  await vi.waitFor(() => expect(relayServer.held.streams).toBe(0))
})

it('asks people once, however often the driver changes', async () => {
  await ask()
  const request = (await agent.next()).begin().text('May I?')
  request.finish({ outcome: { type: 'interrupt', interrupts: [{ id: 'i1', reason: 'approval', message: 'May I?' }] } })
  const { call } = await h.event('s', 'tool.called')
  await restart()
  await started(2)
  await h.service.decide({ type: 'tool.decide', id: 'd1', session: 's', call, decision: 'approve' }, CALLER)
  const second = await agent.next()
  expect(second.input.resume).toMatchObject([{ interruptId: 'i1', status: 'resolved' }])
  second.begin().text('Done.', 'm2').finish()
  const end = await ended()
  expect(texts(end).join('')).toMatch(/^May I\?\s*Done\.$/)
  expect((await h.entries('s')).filter(({ type }) => type === 'tool.called')).toHaveLength(1)
  expect(agent.requests).toHaveLength(2)
})

it('repeats an answer that changes a state which the log no longer has', async () => {
  await ask()
  const request = (await agent.next()).begin()
  request.send('STATE_DELTA', { delta: [{ op: 'add', path: '/list', value: [1] }] })
  request.send('TEXT_MESSAGE_CONTENT', { messageId: 'm1', delta: 'one ' })
  await output('one ')
  const again = agent.next()
  await restart()
  const second = (await again).begin().text('Whole.', 'm2')
  second.finish()
  const end = await ended()
  expect(end).toMatchObject({ reason: 'completed' })
  expect(texts(end)).toEqual(['Whole.'])
})

it('closes the request to the agent when the run is cancelled', async () => {
  await ask()
  const request = (await agent.next()).begin().send('TEXT_MESSAGE_CONTENT', { messageId: 'm1', delta: 'one ' })
  await output('one ')
  await h.service.cancel({ type: 'cancel', id: 'c1', session: 's' }, CALLER)
  await request.closed
  await vi.waitFor(() => expect(relayServer.held.streams).toBe(0))
})
