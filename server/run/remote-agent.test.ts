// Remote agents in runs, against an agent that the test scripts: tools, decisions, state, claims, cancel and take-over.
import { makeId, type RunEnded } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ClaimVault } from '../auth/claim-vault.ts'
import { AgentServer } from '../model/agui/test/agent-server.ts'
import type { Caller } from '../session/commands/caller.ts'
import { defineTool } from '../tool/define-tool.ts'
import { CALLER, EngineHarness } from './test/engine-harness.ts'

const vault = new ClaimVault(['key'], undefined)
const warmth = defineTool({
  name: 'warmth',
  description: 'How warm it is.',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => ({ city, degrees: 12 }),
})
let agent: AgentServer
let h: EngineHarness
beforeEach(async () => {
  agent = await AgentServer.start()
  h = await EngineHarness.start({
    serverTools: [warmth],
    agents: new Map([
      ['planner', { agui: agent.url, headers: { 'X-Team': 'blue' } }],
      ['personal', { agui: agent.url, headers: { Authorization: 'Bearer {claim:key}' } }],
    ]),
    remote: { openClaims: (sealed, user) => vault.open(sealed, user) },
  })
})
afterEach(async () => {
  await h.dispose()
  await agent.stop()
})

const ask = (text: string, more: object = {}) => h.send('s', text, { agent: 'planner', ...more })

async function ended(run = ''): Promise<RunEnded> {
  return h.event('s', 'run.ended', (event) => event.run === run)
}

function textOf({ output = [] }: RunEnded, type = 'text'): string {
  return output.map((part) => (part.type === type && 'text' in part ? part.text : '')).join('')
}

async function callNamed(name: string) {
  return h.event('s', 'tool.called', (event) => event.name === name)
}

async function decide(call: string, decision: 'approve' | 'deny', reason?: string) {
  const why = reason === undefined ? {} : { reason }
  await h.service.decide({ type: 'tool.decide', id: makeId('d'), session: 's', call, decision, ...why }, CALLER)
}

describe('a remote agent', () => {
  it('gets the conversation, the tools and its headers, and writes text and reasoning', async () => {
    const { run } = await ask('Where?', { id: 'c_1' })
    const first = await agent.next()
    expect(first.headers).toMatchObject({ 'x-team': 'blue', accept: 'text/event-stream' })
    expect(first.input).toMatchObject({
      threadId: 's.planner',
      protocolVersion: '1.0',
      state: {},
      messages: [{ id: 'c_1', role: 'user', content: 'Where?' }],
      context: [],
      forwardedProps: {},
    })
    expect(first.input.tools).toMatchObject([{ name: 'warmth', description: 'How warm it is.' }])
    first
      .begin()
      .send('REASONING_MESSAGE_START', { messageId: 'r1', role: 'reasoning' })
      .send('REASONING_MESSAGE_CONTENT', { messageId: 'r1', delta: 'Hm.' })
      .send('REASONING_MESSAGE_END', { messageId: 'r1' })
      .text('Oslo')
      .finish({
        usage: [
          { inputTokens: 5, outputTokens: 2 },
          { inputTokens: 1, outputTokens: 3 },
        ],
      })
    const end = await ended(run)
    expect(end).toMatchObject({
      reason: 'completed',
      model: 'agui:planner',
      usage: { inputTokens: 6, outputTokens: 5 },
    })
    expect([textOf(end), textOf(end, 'reasoning')]).toEqual(['Oslo', 'Hm.'])

    const second = await ask('Why?')
    const next = await agent.next()
    expect(next.input.threadId).toBe('s.planner')
    expect(next.input.runId).not.toBe(first.input.runId)
    expect(next.input.messages.map(({ id, role, content }) => [id, role, content])).toEqual([
      ['c_1', 'user', 'Where?'],
      ['m1', 'assistant', 'Oslo'],
      [second.message, 'user', 'Why?'],
    ])
    next.begin().text('Because.', 'm2').finish()
    await ended(second.run)
  })

  it('asks the run to call a tool, and gets the result with its own ids', async () => {
    const { run } = await ask('How warm?')
    const first = await agent.next()
    first.begin().text('Let me see.').call('tc_1', 'warmth', { city: 'Oslo' }, { parentMessageId: 'm1' }).finish()
    const next = await agent.next()
    expect(next.input.messages.slice(1)).toEqual([
      {
        id: 'm1',
        role: 'assistant',
        content: 'Let me see.',
        toolCalls: [{ id: 'tc_1', type: 'function', function: { name: 'warmth', arguments: '{"city":"Oslo"}' } }],
      },
      { id: 'tc_1_result', role: 'tool', toolCallId: 'tc_1', content: '{"city":"Oslo","degrees":12}' },
    ])
    next.begin().text('12 degrees.', 'm2').finish()
    expect(await ended(run)).toMatchObject({ reason: 'completed' })
    expect(await callNamed('warmth')).not.toHaveProperty('remote')

    // The same ids in a later run, from the log.
    await ask('Thanks')
    const later = await agent.next()
    expect(later.input.messages.slice(1, 3)).toEqual(next.input.messages.slice(1))
    later.begin().finish()
  })

  it('reports calls that it makes itself, with their results, and the run makes none of them', async () => {
    const { run } = await ask('Search')
    const request = await agent.next()
    request.begin().call('tc_1', 'search', { q: 'x' })
    const called = await callNamed('search')
    expect(called).toMatchObject({ remote: true, approval: false, where: 'server', input: { q: 'x' } })
    request.result('tc_1', 'found').text('Found it.').finish()
    expect(await h.event('s', 'tool.result')).toMatchObject({ call: called.call, output: 'found' })
    const end = await ended(run)
    expect(end.output?.map(({ type }) => type)).toEqual(['input', 'tool', 'data', 'text'])
    expect(agent.requests).toHaveLength(1)
    // It recognises its result by the id that it gave it.
    await ask('Thanks')
    const later = await agent.next()
    const result = { id: 'tc_1_r', role: 'tool', toolCallId: 'tc_1', content: 'found' }
    expect(later.input.messages).toContainEqual(result)
    later.begin().finish()
  })

  it('may run a tool of an offered name itself', async () => {
    const { run } = await ask('Go')
    const request = await agent.next()
    request.begin().call('tc_1', 'warmth', { city: 'x' }).result('tc_1', 'mine').finish()
    expect(await ended(run)).toMatchObject({ reason: 'completed' })
    expect(await h.event('s', 'tool.result')).toMatchObject({ output: 'mine' })
  })

  it('has no result for a call that it never reports', async () => {
    const { run } = await ask('Go')
    const request = await agent.next()
    request.begin().call('tc_1', 'lost', {}).finish()
    expect(await ended(run)).toMatchObject({ reason: 'completed' })
    expect(await h.event('s', 'tool.result')).toMatchObject({ error: expect.stringMatching(/no result/) })
  })

  it('does not get sampling options, and a notice says so', async () => {
    const { run } = await ask('Go', { context: { sampling: { temperature: 0 } } })
    const request = await agent.next()
    request.begin().finish()
    expect((await ended(run)).notices).toMatchObject([{ code: 'option_ignored', option: 'temperature' }])
  })

  it('gets another thread for a branch, and only its messages', async () => {
    const first = await ask('One', { id: 'c_1' })
    ;(await agent.next()).begin().text('1').finish()
    await ended(first.run)
    const edited = await ask('Uno', { id: 'c_2', parent: null })
    const request = await agent.next()
    expect(request.input.threadId).toBe('s.planner.c_2')
    expect(request.input.messages.map(({ content }) => content)).toEqual(['Uno'])
    request.begin().text('2').finish()
    await ended(edited.run)
    const followed = await ask('Due', { id: 'c_3' })
    const next = await agent.next()
    expect(next.input.threadId).toBe('s.planner.c_2')
    next.begin().finish()
    await ended(followed.run)
  })
})

describe('an interrupt of a remote agent', () => {
  const interrupt = (more: object = {}) => ({
    outcome: { type: 'interrupt', interrupts: [{ id: 'i1', reason: 'tool_call', message: 'Sure?', ...more }] },
  })

  it.each([
    ['approve', { approved: true }],
    ['deny', { approved: false, reason: 'too late' }],
  ] as const)('asks for a decision about its call, and gets it back: %s', async (decision, payload) => {
    const { run } = await ask('Delete it')
    ;(await agent.next())
      .begin()
      .call('tc_1', 'delete', { id: 7 })
      .finish(interrupt({ toolCallId: 'tc_1' }))
    const waiting = await h.event('s', 'tool.called', (event) => event.approval)
    expect(waiting).toMatchObject({ name: 'delete', attempt: 2, remote: true, input: { id: 7 } })
    await decide(waiting.call, decision, 'too late')
    const next = await agent.next()
    expect(next.input.resume).toEqual([{ interruptId: 'i1', status: 'resolved', payload }])
    expect(next.input.messages.at(-1)).toMatchObject({ role: 'assistant', toolCalls: [{ id: 'tc_1' }] })
    // LangGraph begins the call again.
    next.begin().call('tc_1', 'delete', { id: 7 }).result('tc_1', 'deleted').text('Done.').finish()
    expect(textOf(await ended(run))).toBe('Done.')
    const calls = (await h.entries('s')).flatMap((event) => (event.type === 'tool.called' ? event.call : []))
    expect(new Set(calls)).toEqual(new Set([waiting.call]))
    const expected = decision === 'approve' ? { output: 'deleted' } : { error: 'The call was denied: too late' }
    expect(await h.event('s', 'tool.result')).toMatchObject(expected)
    expect(agent.requests).toHaveLength(2)
  })

  it('is for people also if the sender answers calls of its own tools', async () => {
    const tools = [{ name: 'pick' }]
    const { run } = await ask('Delete it', { context: { tools } })
    ;(await agent.next())
      .begin()
      .call('tc_1', 'delete', { id: 7 })
      .finish(interrupt({ toolCallId: 'tc_1' }))
    const waiting = await h.event('s', 'tool.called', (event) => event.approval)
    await decide(waiting.call, 'approve')
    const next = await agent.next()
    expect(next.input.resume).toMatchObject([{ interruptId: 'i1', status: 'resolved' }])
    next
      .begin()
      .result('tc_1', 'deleted')
      .call('tc_2', 'pick', { of: [1, 2] })
      .finish()
    const end = await ended(run)
    expect([end.reason, end.output?.at(-1)]).toMatchObject(['completed', { type: 'tool', name: 'pick' }])
    expect(agent.requests).toHaveLength(2)
  })

  it('is cancelled if nobody decides in time', async () => {
    await h.dispose()
    h = await EngineHarness.start({ limits: { approvalMs: 20 }, agents: new Map([['planner', { agui: agent.url }]]) })
    const { run } = await ask('Delete it')
    ;(await agent.next())
      .begin()
      .call('tc_1', 'delete', {})
      .finish(interrupt({ toolCallId: 'tc_1' }))
    const next = await agent.next()
    expect(next.input.resume).toEqual([{ interruptId: 'i1', status: 'cancelled' }])
    next.begin().finish()
    expect(await ended(run)).toMatchObject({ reason: 'completed' })
  })

  it('that is about no call has one of its own, which the agent does not get', async () => {
    const { run } = await ask('Pay')
    ;(await agent.next())
      .begin()
      .text('It costs 5.')
      .finish(interrupt({ reason: 'confirmation' }))
    const waiting = await callNamed('confirm')
    expect(waiting).toMatchObject({ approval: true, remote: true, input: { message: 'Sure?' } })
    await decide(waiting.call, 'approve')
    const next = await agent.next()
    expect(next.input.resume).toEqual([{ interruptId: 'i1', status: 'resolved', payload: { approved: true } }])
    expect(next.input.messages.map(({ role }) => role)).toEqual(['user', 'assistant'])
    next.begin().text('Paid.', 'm2').finish()
    await ended(run)
  })

  it('of LangGraph without the protocol’s outcome is answered as LangGraph expects', async () => {
    const { run } = await ask('Send it')
    const value = JSON.stringify({ action_requests: [{ name: 'send', args: { to: 'ada' } }], review_configs: [] })
    ;(await agent.next())
      .begin()
      .call('tc_1', 'send', { to: 'ada' })
      .send('CUSTOM', { name: 'on_interrupt', value })
      .finish()
    const waiting = await h.event('s', 'tool.called', (event) => event.approval)
    expect(waiting).toMatchObject({ name: 'send', attempt: 2 })
    await decide(waiting.call, 'approve')
    const next = await agent.next()
    expect(next.input).not.toHaveProperty('resume')
    expect(next.input.forwardedProps).toEqual({ command: { resume: { decisions: [{ type: 'approve' }] } } })
    next.begin().result('tc_1', 'sent').finish()
    await ended(run)
  })

  const FIELDS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
  const NESTED = { type: 'object', properties: { at: { type: 'object', properties: {} } } }
  it.each([
    ['a form', FIELDS, { city: 'Oslo' }, { city: 'Oslo' }],
    ['a text', undefined, { answer: 'Oslo' }, 'Oslo'],
    ['JSON', NESTED, { answer: '{"at":{}}' }, { at: {} }],
  ])('asks a question whose answer is %s, also after a restart', async (_, responseSchema, content, payload) => {
    const { run } = await ask('Weather?')
    ;(await agent.next())
      .begin()
      .text('Hm.')
      .finish(interrupt({ reason: 'input_required', responseSchema }))
    const asked = await h.event('s', 'tool.asked')
    expect(asked.message).toMatch(/^Sure\?/)
    await h.close()
    await h.open()
    const { call, question } = asked
    const about = { type: 'tool.answer', id: makeId('a'), session: 's', call, question } as const
    await h.service.answer({ ...about, action: 'accept', content }, CALLER)
    const next = await agent.next()
    expect(next.input.resume).toEqual([{ interruptId: 'i1', status: 'resolved', payload }])
    expect(next.input.messages.map(({ role }) => role)).toEqual(['user', 'assistant'])
    next.begin().text('Cold.', 'm2').finish()
    expect(await ended(run)).toMatchObject({ reason: 'completed' })
    expect((await h.entries('s')).filter(({ type }) => type === 'tool.asked').length).toBeLessThan(2)
  })

  it('whose question a person declines is cancelled', async () => {
    const { run } = await ask('Weather?')
    ;(await agent.next()).begin().finish(interrupt({ reason: 'input_required' }))
    const { call, question } = await h.event('s', 'tool.asked')
    const about = { type: 'tool.answer', id: makeId('a'), session: 's', call, question } as const
    await h.service.answer({ ...about, action: 'decline' }, CALLER)
    const next = await agent.next()
    expect(next.input.resume).toEqual([{ interruptId: 'i1', status: 'cancelled' }])
    next.begin().finish()
    await ended(run)
  })

  it('waits through a restart of the server, whose next driver hands the decision back', async () => {
    const { run } = await ask('Delete it')
    ;(await agent.next())
      .begin()
      .text('Hm.')
      .call('tc_1', 'delete', {})
      .finish(interrupt({ toolCallId: 'tc_1' }))
    const waiting = await h.event('s', 'tool.called', (event) => event.approval)
    await h.close()
    await h.open()
    await decide(waiting.call, 'approve')
    const next = await agent.next()
    expect(next.input.resume).toMatchObject([{ interruptId: 'i1', status: 'resolved' }])
    next.begin().result('tc_1', 'deleted').text(' Done.', 'm2').finish()
    expect(textOf(await ended(run))).toBe('Hm. Done.')
    expect(await h.event('s', 'tool.result')).toMatchObject({ output: 'deleted' })
  })
})

describe('the state of a remote agent', () => {
  it('goes back to it with the next request', async () => {
    const { run } = await ask('Go')
    ;(await agent.next())
      .begin()
      .send('STATE_SNAPSHOT', { snapshot: { plan: ['a'] } })
      .send('STATE_DELTA', { delta: [{ op: 'add', path: '/plan/-', value: 'b' }] })
      .send('STATE_DELTA', { delta: [{ op: 'replace', path: '/none/x', value: 1 }] })
      .call('tc_1', 'warmth', { city: 'Oslo' })
      .finish()
    const next = await agent.next()
    expect(next.input.state).toEqual({ plan: ['a', 'b'] })
    next
      .begin()
      .send('STATE_DELTA', { delta: [{ op: 'remove', path: '/plan/0' }] })
      .finish()
    const end = await ended(run)
    // Each replaces the one before.
    const states = end.output?.flatMap((part) => (part.type === 'data' && 'data' in part ? [part] : []))
    expect(states).toMatchObject([{ name: 'state', id: 'state', data: { plan: ['b'] } }])
    // Later messages, also after a restart, and half answers keep it.
    await h.close()
    await h.open()
    await ask('On')
    const later = await agent.next()
    expect(later.input.state).toEqual({ plan: ['b'] })
    later
      .begin()
      .send('STATE_SNAPSHOT', { snapshot: { plan: [] } })
      .text('Half')
    await h.event('s', 'run.output', ({ text }) => text === 'Half')
    await h.close()
    await h.open()
    const again = await agent.next()
    expect(again.input.state).toEqual({ plan: [] })
    again.begin().finish()
  })
})

describe('a cancel', () => {
  it('closes the request of the agent', async () => {
    const { run } = await ask('Go')
    const request = await agent.next()
    request.begin().send('TEXT_MESSAGE_CONTENT', { messageId: 'm1', delta: 'One' })
    await h.event('s', 'run.output')
    await h.service.cancel({ type: 'cancel', id: makeId('c'), session: 's' }, CALLER)
    await request.closed
    const end = await ended(run)
    expect(end).toMatchObject({ reason: 'cancelled' })
  })
})

describe('a claim in the headers', () => {
  const caller = async (user: string, key?: string): Promise<Caller> => {
    const credentials = key === undefined ? undefined : await vault.seal(user, { key })
    return { connection: user, user, role: 'owner', ...(credentials === undefined ? {} : { credentials }) }
  }
  const send = async (by: Caller, policy: 'queue' | 'steer' = 'queue') =>
    h.service.send({ type: 'send', id: makeId('c'), session: 's', content: 'go', agent: 'personal', policy }, by)

  it('is that of the message’s sender, and is in no log entry', async () => {
    for (const user of ['ada', 'bob']) {
      const { run } = await send(await caller(user, `key-of-${user}`))
      const request = await agent.next()
      expect(request.headers.authorization).toBe(`Bearer key-of-${user}`)
      request.begin().finish()
      await ended(run)
    }
    expect(JSON.stringify(await h.entries('s'))).not.toContain('key-of')
  })

  it('fails the run of a sender without it, and of one whose run somebody else has steered', async () => {
    const { run } = await send(await caller('eve'))
    expect((await ended(run)).error).toMatchObject({
      code: 'provider_unauthenticated',
      message: expect.stringMatching(/needs the claim key/),
    })
    const shared = await send(await caller('ada', 'key-of-ada'))
    const request = await agent.next()
    await send(await caller('bob', 'key-of-bob'), 'steer')
    request.begin().text('One').finish()
    expect((await ended(shared.run)).error).toMatchObject({ message: expect.stringMatching(/Another person/) })
    expect(agent.requests).toHaveLength(1)
  })
})

describe('a lost driver', () => {
  it.each([undefined, [{ name: 'pick' }]])(
    'leaves the decision to the next driver (tools of the sender: %j)',
    async (tools) => {
      const { run } = await ask('Delete it', tools === undefined ? {} : { context: { tools } })
      const interrupts = [{ id: 'i1', reason: 'tool_call', message: 'Sure?', toolCallId: 'tc_1' }]
      ;(await agent.next())
        .begin()
        .call('tc_1', 'delete', {})
        .finish({ outcome: { type: 'interrupt', interrupts } })
      const waiting = await h.event('s', 'tool.called', (event) => event.approval)
      await h.close()
      await h.open()
      await h.event('s', 'run.started', ({ epoch }) => epoch === 2)
      await decide(waiting.call, 'approve')
      const next = await agent.next()
      expect(next.input.resume).toMatchObject([{ interruptId: 'i1', status: 'resolved' }])
      next.begin().result('tc_1', 'deleted').text('Done.').finish()
      expect(textOf(await ended(run))).toBe('Done.')
      expect(agent.requests).toHaveLength(2)
    },
  )

  it('leaves a half answer, which the next driver replaces; complete steps and their calls stay', async () => {
    const { run } = await ask('How warm?')
    ;(await agent.next()).begin().text('First.').call('tc_1', 'warmth', { city: 'Oslo' }).finish()
    const second = await agent.next()
    second.begin().call('tc_2', 'search', {}).send('TEXT_MESSAGE_CONTENT', { messageId: 'm2', delta: 'Half' })
    await h.event('s', 'run.output', (event) => 'text' in event && event.text === 'Half')
    await h.close()
    await second.closed
    const restarted = h.open().then(() => h.event('s', 'run.started', ({ epoch }) => epoch === 2))
    expect(await restarted).toMatchObject({ mode: 'restart' })
    const again = await agent.next()
    expect(again.input.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool'])
    expect(again.input.runId).not.toBe(second.input.runId)
    expect(agent.requests).toHaveLength(3)
    again.begin().text('Whole.', 'm3').finish()
    const end = await ended(run)
    expect(end).toMatchObject({ reason: 'completed' })
    expect(textOf(end)).toMatch(/^First\.\s*Whole\.$/)
    expect(end.output?.filter(({ type }) => type === 'tool')).toHaveLength(1)
  })
})
