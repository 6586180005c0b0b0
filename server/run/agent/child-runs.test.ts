// Agents that ask others, over the real log: child runs, their ends, limits, and drivers that are replaced.
import type { EventOf } from '@parley/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { textOf } from '../../session/run-report.ts'
import { defineTool } from '../../tool/define-tool.ts'
import { CALLER, EngineHarness, type HarnessOptions, type PlayedCall } from '../test/engine-harness.ts'
import type { Agent } from './agents.ts'

const AGENTS: [string, Agent][] = [
  ['lead', { system: 'You lead.', agents: ['researcher', 'lead'] }],
  ['researcher', { system: 'You research.', tools: ['look'], agents: ['researcher'] }],
]

const open: EngineHarness[] = []
async function start(options: HarnessOptions = {}): Promise<EngineHarness> {
  const harness = await EngineHarness.start({ agents: new Map(AGENTS), ...options })
  open.push(harness)
  return harness
}
afterEach(async () => {
  for (const harness of open.splice(0)) await harness.dispose()
})

/** The lead asks, each question with a call of its own. @returns the child runs, in that order, and the lead's run */
async function ask(h: EngineHarness, ...questions: string[]): Promise<{ run: string; children: string[] }> {
  const { run } = await h.send('s', 'Go.', { agent: 'lead' })
  const lead = await h.model.next()
  for (const message of questions) lead.tool('ask_researcher', { message })
  lead.finish('tool-calls')
  const children: string[] = []
  for (const message of questions) {
    const called = await h.event('s', 'tool.called', ({ input }) => (input as { message: string }).message === message)
    children.push(called.child?.run ?? '')
  }
  return { run: run ?? '', children }
}

/** The model calls of the children, by their question. */
async function nextCalls(h: EngineHarness, count: number): Promise<Map<string, PlayedCall>> {
  const calls = new Map<string, PlayedCall>()
  for (let i = 0; i < count; i += 1) {
    const call = await h.model.next()
    const user = call.options.prompt.findLast((message) => message.role === 'user')
    const [part] = user?.role === 'user' ? user.content : []
    calls.set(part?.type === 'text' ? part.text : '', call)
  }
  return calls
}

/** The runs' ends as readers receive them, before any of them is compacted. */
async function endsOf(h: EngineHarness): Promise<{ readonly all: EventOf<'run.ended'>[] }> {
  const all: EventOf<'run.ended'>[] = []
  await h.stores.log.follow('s', `${h.stores.log.epoch}.0`, {
    entries: (entries) => {
      for (const { event } of entries) if (event.type === 'run.ended' && event.compacted !== true) all.push(event)
    },
  })
  return { all }
}

const ended = (h: EngineHarness, run: string) => h.event('s', 'run.ended', (event) => event.run === run)
const cancel = (h: EngineHarness, run: string) =>
  h.service.cancel({ type: 'cancel', id: `c_${run}`, session: 's', run }, CALLER)

describe('agents that are asked', () => {
  it('answer in parallel with their own instructions and tools, and their texts are the results', async () => {
    const look = defineTool({ name: 'look', inputSchema: z.object({}), execute: () => 'seen' })
    const other = defineTool({ name: 'other', inputSchema: z.object({}), execute: () => 1 })
    const h = await start({ serverTools: [look, other] })
    const { run, children } = await ask(h, 'One?', 'Two?')
    const calls = await nextCalls(h, 2)
    const first = calls.get('One?') as PlayedCall
    expect(first.options.prompt).toEqual([
      { role: 'system', content: 'You research.' },
      { role: 'user', content: [{ type: 'text', text: 'One?' }] },
    ])
    expect(first.options.tools?.map(({ name }) => name)).toEqual(['look', 'ask_researcher'])
    expect(await h.event('s', 'run.started', (event) => event.run === children[0])).toMatchObject({
      agent: 'researcher',
      parent: { run, call: expect.any(String) },
      message: expect.stringMatching(/^call_/),
    })
    first.text('1')
    calls.get('Two?')?.text('2')
    await h.event('s', 'run.output', (event) => event.run === children[1])
    calls.get('Two?')?.finish()
    first.finish()
    const lead = await h.model.next()
    expect(lead.options.prompt.at(-1)).toMatchObject({
      role: 'tool',
      content: [{ output: { type: 'text', value: '1' } }, { output: { type: 'text', value: '2' } }],
    })
    expect(JSON.stringify(lead.options.prompt)).not.toContain('You research')
    lead.text('3')
    lead.finish()
    expect(await ended(h, run)).toMatchObject({ reason: 'completed', agent: 'lead' })
    // A later message knows of them only the results, and goes to the default agent.
    await h.send('s', 'And?')
    const later = await h.model.next()
    expect(later.options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant', 'user'])
    later.finish()
  })

  it('run tools of clients, and wait for approvals', async () => {
    const look = defineTool({ name: 'look', inputSchema: z.object({}), approval: true, execute: () => 'seen' })
    const h = await start({ serverTools: [look] })
    await h.service.attach('s', CALLER, [{ name: 'lamp', inputSchema: { type: 'object' } }])
    const { run, children } = await ask(h, 'One?')
    const child = (await nextCalls(h, 1)).get('One?') as PlayedCall
    expect(child.options.tools?.map(({ name }) => name)).toEqual(['look', 'ask_researcher', 'lamp'])
    child.tool('lamp', {})
    child.tool('look', {})
    child.finish('tool-calls')
    const lamp = await h.event('s', 'tool.called', ({ name }) => name === 'lamp')
    const looked = await h.event('s', 'tool.called', ({ name }) => name === 'look')
    expect(looked).toMatchObject({ run: children[0], approval: true })
    await h.service.claim({ type: 'tool.claim', id: 'c1', session: 's', call: lamp.call }, CALLER)
    await h.service.result({ type: 'tool.result', id: 'c2', session: 's', call: lamp.call, output: 'on' }, CALLER)
    await h.service.decide(
      { type: 'tool.decide', id: 'c3', session: 's', call: looked.call, decision: 'approve' },
      CALLER,
    )
    const next = await h.model.next()
    expect(JSON.stringify(next.options.prompt.at(-1))).toMatch(/"on".*"seen"/)
    next.text('lit')
    next.finish()
    const lead = await h.model.next()
    lead.finish()
    expect(await ended(h, run)).toMatchObject({ reason: 'completed' })
  })

  it('can be cancelled alone, and the parent continues with an error that has a code', async () => {
    const h = await start()
    const { run, children } = await ask(h, 'One?', 'Two?')
    const calls = await nextCalls(h, 2)
    await cancel(h, children[0] ?? '')
    await calls.get('One?')?.aborted
    calls.get('Two?')?.text('2')
    calls.get('Two?')?.finish()
    const lead = await h.model.next()
    expect(JSON.stringify(lead.options.prompt.at(-1))).toContain('The run was cancelled.')
    expect(await h.event('s', 'tool.result', (event) => event.error !== undefined)).toMatchObject({
      run,
      code: 'run_cancelled',
    })
    lead.finish()
    expect(await ended(h, run)).toMatchObject({ reason: 'completed' })
  })

  it('fail alone, with the code of their failure', async () => {
    const agents = new Map(AGENTS).set('researcher', { limits: { outputTokens: 2 } })
    const h = await start({ agents })
    const { run } = await ask(h, 'One?')
    const child = (await nextCalls(h, 1)).get('One?') as PlayedCall
    expect(child.options.maxOutputTokens).toBe(2)
    for (const token of ['a', 'b', 'c']) child.text(token)
    expect(await h.event('s', 'tool.result')).toMatchObject({ run, code: 'token_limit' })
    ;(await h.model.next()).finish()
    expect(await ended(h, run)).toMatchObject({ reason: 'completed' })
  })

  it('end before their parent does, which is cancelled while a child waits for an approval', async () => {
    const look = defineTool({ name: 'look', inputSchema: z.object({}), approval: true, execute: () => 'seen' })
    const h = await start({ serverTools: [look] })
    const { all: ends } = await endsOf(h)
    const { run, children } = await ask(h, 'One?', 'Two?')
    const calls = await nextCalls(h, 2)
    calls.get('One?')?.tool('look', {})
    calls.get('One?')?.finish('tool-calls')
    await h.event('s', 'tool.called', ({ name }) => name === 'look')
    calls.get('Two?')?.text('2')
    await h.event('s', 'run.output')
    const receipt = await cancel(h, run)
    await h.event('s', 'run.ended', (event) => event.run === run)
    expect(ends.map((event) => [event.reason, event.by])).toEqual(Array(3).fill(['cancelled', 'ada']))
    expect(ends.at(-1)).toMatchObject({ run, command: `c_${run}` })
    expect(new Set(ends.map((event) => event.run))).toEqual(new Set([...children, run]))
    await calls.get('Two?')?.aborted
    // The same command again names the parent, not a child that ended with it.
    expect(await cancel(h, run)).toMatchObject({ run, cursor: receipt.cursor, duplicate: true })
  })

  it('end as superseded with a parent that a message interrupts', async () => {
    const h = await start()
    const { all: ends } = await endsOf(h)
    const { run, children } = await ask(h, 'One?')
    await nextCalls(h, 1)
    await h.send('s', 'Stop.', { policy: 'interrupt' })
    await h.event('s', 'run.ended', (event) => event.run === run)
    expect(ends.map((event) => [event.run, event.reason])).toEqual([
      [children[0], 'superseded'],
      [run, 'superseded'],
    ])
    ;(await h.model.next()).finish()
  })

  it('end before a parent that exceeds its time', async () => {
    const agents = new Map(AGENTS).set('lead', { agents: ['researcher'], limits: { runMs: 300 } })
    const h = await start({ agents })
    const { all: ends } = await endsOf(h)
    const { run, children } = await ask(h, 'One?')
    const child = (await nextCalls(h, 1)).get('One?') as PlayedCall
    expect(await ended(h, run)).toMatchObject({ reason: 'failed', error: { code: 'time_limit' } })
    await child.aborted
    expect(ends.map((event) => [event.run, event.reason, event.by])).toEqual([
      [children[0], 'cancelled', 'server'],
      [run, 'failed', undefined],
    ])
  })

  it('do not let a message wait, and are not the active run', async () => {
    const h = await start()
    const { run, children } = await ask(h, 'One?')
    await nextCalls(h, 1)
    expect(await h.service.cancel({ type: 'cancel', id: 'c9', session: 's' }, CALLER)).toMatchObject({ run })
    expect(await ended(h, children[0] ?? '')).toMatchObject({ reason: 'cancelled' })
  })

  it('have limited levels and a limited number', async () => {
    const h = await start({ limits: { childLevels: 1, children: 2 } })
    const { run } = await ask(h, 'One?')
    const child = (await nextCalls(h, 1)).get('One?') as PlayedCall
    child.tool('ask_researcher', { message: 'Deeper?' })
    child.finish('tool-calls')
    expect(await h.event('s', 'tool.result')).toMatchObject({ code: 'depth_limit' })
    ;(await h.model.next()).finish()
    const lead = await h.model.next()
    for (const message of ['Two?', 'Three?']) lead.tool('ask_researcher', { message })
    lead.finish('tool-calls')
    const refused = await h.event('s', 'tool.result', ({ code }) => code === 'children_limit')
    expect(refused).toMatchObject({ run })
    const called = await h.event('s', 'tool.called', ({ call }) => call === refused.call)
    expect(called).toMatchObject({ input: { message: 'Three?' } })
    expect(called).not.toHaveProperty('child')
    ;(await nextCalls(h, 1)).get('Two?')?.finish()
    ;(await h.model.next()).finish()
    expect(await ended(h, run)).toMatchObject({ reason: 'completed' })
  })

  it('do not block the runs for which they work, however few may run at once', async () => {
    // Waiting parents filled all handlers, and no child could start.
    const h = await start({ concurrency: 1 })
    const parents = 12
    const runs: string[] = []
    for (let i = 0; i < parents; i += 1) {
      const { run } = await h.send(`s${i}`, 'Go.', { agent: 'lead' })
      runs.push(run ?? '')
    }
    // One at a time: each lead and each child is answered when its turn comes.
    for (let answered = 0; answered < 3 * parents; answered += 1) {
      const call = await h.model.next()
      const last = call.options.prompt.at(-1)
      const asks = JSON.stringify(call.options.prompt).includes('You lead') && last?.role === 'user'
      if (asks) call.tool('ask_researcher', { message: 'One?' })
      else call.text('1')
      call.finish(asks ? 'tool-calls' : 'stop')
    }
    for (const [i, run] of runs.entries()) {
      expect(await h.event(`s${i}`, 'run.ended', (event) => event.run === run)).toMatchObject({ reason: 'completed' })
    }
  })
})

describe('a replaced driver', () => {
  it('waits for the child that exists, and never begins another', async () => {
    const h = await start()
    const { run, children } = await ask(h, 'One?')
    const child = (await nextCalls(h, 1)).get('One?') as PlayedCall
    child.text('beg')
    await h.event('s', 'run.output')
    // Both drivers are gone.
    await h.close()
    await h.open()
    const again = (await nextCalls(h, 1)).get('One?') as PlayedCall
    again.text('whole')
    again.finish()
    const lead = await h.model.next()
    expect(lead.options.prompt.at(-1)).toMatchObject({ content: [{ output: { value: 'whole' } }] })
    lead.text('done')
    lead.finish()
    expect(await ended(h, run)).toMatchObject({ reason: 'completed', epoch: 2 })
    const end = await ended(h, children[0] ?? '')
    expect(end).toMatchObject({ reason: 'completed', parent: { run }, agent: 'researcher' })
    expect(textOf(end.output ?? [])).toBe('whole')
    const calls = (await h.entries('s')).filter(({ type }) => type === 'tool.called')
    expect(calls).toHaveLength(1)
  })

  it('uses the answer that the child gave meanwhile', async () => {
    const h = await start()
    const { run, children } = await ask(h, 'One?')
    await nextCalls(h, 1)
    await h.close()
    await h.open()
    await cancel(h, children[0] ?? '')
    expect(await h.event('s', 'tool.result')).toMatchObject({ code: 'run_cancelled' })
    for (;;) {
      const call = await h.model.next()
      if (call.options.prompt.at(-1)?.role !== 'tool') continue
      call.finish()
      break
    }
    expect(await ended(h, run)).toMatchObject({ reason: 'completed' })
  })

  it('fails the call of an agent that was removed from the configuration', async () => {
    const agents = new Map(AGENTS)
    const h = await start({ agents })
    const { run, children } = await ask(h, 'One?')
    await nextCalls(h, 1)
    await h.close()
    agents.delete('researcher')
    agents.set('lead', {})
    await h.open()
    expect(await ended(h, children[0] ?? '')).toMatchObject({ reason: 'failed', error: { code: 'agent_not_found' } })
    expect(await h.event('s', 'tool.result')).toMatchObject({ code: 'agent_not_found' })
    ;(await h.model.next()).finish()
    expect(await ended(h, run)).toMatchObject({ reason: 'completed' })
  })
})
