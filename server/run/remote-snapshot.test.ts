// Remote agents whose list of messages says more than their events, as with LangGraph: results have their lasting ids only there, and models
// that do not stream have their calls only there.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { AgentServer } from '../model/agui/test/agent-server.ts'
import { defineTool } from '../tool/define-tool.ts'
import { EngineHarness } from './test/engine-harness.ts'

const warmth = defineTool({
  name: 'warmth',
  description: 'How warm it is.',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => ({ city, degrees: 12 }),
})
let agent: AgentServer
let h: EngineHarness
beforeAll(async () => {
  agent = await AgentServer.start()
  h = await EngineHarness.start({ serverTools: [warmth], agents: new Map([['planner', { agui: agent.url }]]) })
})
afterAll(async () => {
  await h.dispose()
  await agent.stop()
})

const SNAPSHOT = 'MESSAGES_SNAPSHOT'
const asksFor = (id: string, name: string, json: string) => ({
  id,
  type: 'function',
  function: { name, arguments: json },
})
const resultOf = (id: string, toolCallId: string, content: string) => ({ id, role: 'tool', toolCallId, content })

describe('a remote agent whose list of messages says more than its events', () => {
  it('gets results by the ids of the list', async () => {
    await h.send('ids', 'Go', { agent: 'planner' })
    const first = await agent.next()
    const list = [
      ...first.input.messages,
      { id: 'a', role: 'assistant', content: '', toolCalls: [asksFor('c1', 'search', '{"q":1}')] },
      resultOf('lasting', 'c1', 'found'),
      { id: 'b', role: 'assistant', content: '', toolCalls: [asksFor('c2', 'warmth', '{"city":"Oslo"}')] },
    ]
    first
      .begin()
      .call('c1', 'search', { q: 1 }, { parentMessageId: 'a' })
      .send('TOOL_CALL_RESULT', { messageId: 'c1', toolCallId: 'c1', content: 'found' })
      .call('c2', 'warmth', { city: 'Oslo' }, { parentMessageId: 'b' })
      .send(SNAPSHOT, { messages: list })
      .finish()
    const next = await agent.next()
    const results = ({ messages }: typeof next.input) => messages.flatMap(({ id, role }) => (role === 'tool' ? id : []))
    expect(results(next.input)).toEqual(['lasting', 'c2_result'])
    next.begin().text('Done.', 'm2').send(SNAPSHOT, { messages: next.input.messages }).finish()
    await h.event('ids', 'run.ended')
    // From the log.
    const { run } = await h.send('ids', 'Again', { agent: 'planner' })
    const later = await agent.next()
    expect(results(later.input)).toEqual(['lasting', 'c2_result'])
    later.begin().text('Done.', 'm3').finish()
    await h.event('ids', 'run.ended', (event) => event.run === run)
    expect((await h.entries('ids')).filter(({ type }) => type === 'tool.result')).toHaveLength(2)
  })

  it('makes calls, with arguments and results, that are only there', async () => {
    await h.send('calls', 'Go', { agent: 'planner' })
    const first = await agent.next()
    first
      .begin()
      .send('TOOL_CALL_START', { toolCallId: 'c1', toolCallName: 'search' })
      .send('TOOL_CALL_END', { toolCallId: 'c1' })
      .send(SNAPSHOT, {
        messages: [
          ...first.input.messages,
          { id: 'a', role: 'assistant', content: '', toolCalls: [asksFor('c1', 'search', '{"q":1}')] },
          resultOf('r1', 'c1', 'found'),
          { id: 'b', role: 'assistant', toolCalls: [asksFor('c2', 'warmth', '{"city":"Oslo"}')] },
        ],
      })
      .finish()
    const next = await agent.next()
    expect(next.input.messages.slice(1)).toMatchObject([
      { toolCalls: [asksFor('c1', 'search', '{"q":1}')] },
      { id: 'r1', content: 'found' },
      { id: 'b', toolCalls: [asksFor('c2', 'warmth', '{"city":"Oslo"}')] },
      { id: 'c2_result', toolCallId: 'c2', content: '{"city":"Oslo","degrees":12}' },
    ])
    // The list repeats what the request has.
    next.begin().text('Done.', 'm2').send(SNAPSHOT, { messages: next.input.messages }).finish()
    expect(await h.event('calls', 'run.ended')).toMatchObject({ reason: 'completed' })
    const calls = (await h.entries('calls')).filter((event) => event.type === 'tool.called')
    expect(calls).toMatchObject([
      { name: 'search', input: { q: 1 }, remote: true },
      { name: 'warmth', input: { city: 'Oslo' } },
    ])
  })
})
