// Agents that hand the conversation to others, over the real log.
import { afterEach, describe, expect, it } from 'vitest'
import { CALLER, EngineHarness, type HarnessOptions, PlayedModel } from '../test/engine-harness.ts'
import type { Agent } from './agents.ts'

const AGENTS: [string, Agent][] = [
  ['lead', { system: 'You lead.', handoff: ['support', 'sales'] }],
  ['support', { system: 'You support.', model: 'other', tools: [] }],
  ['sales', { system: 'You sell.', handoff: ['lead'] }],
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

const ended = (h: EngineHarness, run: string | undefined) => h.event('s', 'run.ended', (event) => event.run === run)
const system = (prompt: readonly { role: string; content: unknown }[]) =>
  prompt.flatMap(({ role, content }) => (role === 'system' ? [content] : []))

describe('a hand-off', () => {
  it('continues the run with the other agent, which also gets later messages until one names another', async () => {
    const other = Object.assign(new PlayedModel(), { id: 'other' })
    const h = await start({ other })
    const { run } = await h.send('s', 'Refund me.', { agent: 'lead' })
    const lead = await h.model.next()
    expect(lead.options.tools?.map(({ name }) => name)).toEqual(['handoff_to_support', 'handoff_to_sales'])
    lead.text('One moment.')
    lead.tool('handoff_to_support', { reason: 'A refund.' })
    lead.finish('tool-calls')
    const support = await other.next()
    expect(system(support.options.prompt)).toEqual(['You support.'])
    expect(support.options.tools ?? []).toEqual([])
    expect(support.options.prompt.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'tool'])
    expect(await h.event('s', 'tool.called')).toMatchObject({ handoff: 'support' })
    expect(await h.event('s', 'run.handed')).toEqual({
      type: 'run.handed',
      run,
      from: 'lead',
      to: 'support',
      reason: 'A refund.',
    })
    support.text('Done.')
    support.finish()
    expect(await ended(h, run)).toMatchObject({ reason: 'completed', agent: 'support', model: 'other' })

    const second = await h.send('s', 'Thanks.')
    const later = await other.next()
    expect(system(later.options.prompt)).toEqual(['You support.'])
    later.finish()
    expect(await ended(h, second.run)).toMatchObject({ agent: 'support' })
    const third = await h.send('s', 'Again.')
    ;(await other.next()).finish()
    expect(await ended(h, third.run)).toMatchObject({ agent: 'support' })

    await h.send('s', 'Buy.', { agent: 'sales' })
    const named = await h.model.next()
    expect(system(named.options.prompt)).toEqual(['You sell.'])
    named.finish()
    const last = await h.send('s', 'Bye.')
    const plain = await h.model.next()
    expect(system(plain.options.prompt)).toEqual([])
    plain.finish()
    expect(await ended(h, last.run)).not.toHaveProperty('agent')
  })

  it('holds although a message that steers the answer names another agent', async () => {
    const other = Object.assign(new PlayedModel(), { id: 'other' })
    const h = await start({ other })
    const { run } = await h.send('s', 'Refund me.', { agent: 'lead' })
    const lead = await h.model.next()
    lead.tool('handoff_to_support', {})
    lead.finish('tool-calls')
    const support = await other.next()
    await h.send('s', '@sales Hurry.', { agent: 'sales', policy: 'steer' })
    support.finish()
    const steered = await other.next()
    expect(system(steered.options.prompt)).toEqual(['You support.'])
    expect(JSON.stringify(steered.options.prompt)).toContain('@sales Hurry.')
    steered.finish()
    expect(await ended(h, run)).toMatchObject({ agent: 'support' })
    const next = await h.send('s', 'Thanks.')
    expect(system((await other.next()).options.prompt)).toEqual(['You support.'])
    await h.service.cancel({ type: 'cancel', id: 'c', session: 's', run: next.run }, CALLER)
  })

  it('counts once a step, and can go back', async () => {
    const h = await start()
    const { run } = await h.send('s', 'Hi.', { agent: 'lead' })
    const lead = await h.model.next()
    lead.tool('handoff_to_sales', {})
    lead.tool('handoff_to_support', {})
    lead.finish('tool-calls')
    const sales = await h.model.next()
    expect(system(sales.options.prompt)).toEqual(['You sell.'])
    expect(JSON.stringify(sales.options.prompt.at(-1))).toContain('Another call of this step')
    sales.tool('handoff_to_lead', {})
    sales.finish('tool-calls')
    const back = await h.model.next()
    expect(system(back.options.prompt)).toEqual(['You lead.'])
    back.finish()
    expect(await ended(h, run)).toMatchObject({ agent: 'lead', reason: 'completed' })
    await h.send('s', 'And?')
    const next = await h.model.next()
    expect(system(next.options.prompt)).toEqual(['You lead.'])
    next.finish()
  })

  it('survives the driver, also after the whole session was compacted', async () => {
    const h = await start()
    const { run } = await h.send('s', 'Hi.', { agent: 'lead' })
    const lead = await h.model.next()
    lead.tool('handoff_to_sales', {})
    lead.finish('tool-calls')
    await h.model.next()
    await h.close()
    await h.open()
    const sales = await h.model.next()
    expect(system(sales.options.prompt)).toEqual(['You sell.'])
    expect(await h.event('s', 'run.started', ({ epoch }) => epoch === 2)).toMatchObject({ agent: 'sales' })
    sales.text('Hello.')
    sales.finish()
    expect(await ended(h, run)).toMatchObject({ agent: 'sales', reason: 'completed' })
  })

  it('to an agent that was removed ends the run, but not the conversation', async () => {
    const agents = new Map(AGENTS)
    const h = await start({ agents })
    const { run } = await h.send('s', 'Hi.', { agent: 'lead' })
    const lead = await h.model.next()
    lead.tool('handoff_to_sales', {})
    lead.finish('tool-calls')
    await h.model.next()
    await h.close()
    agents.delete('sales')
    agents.set('lead', { handoff: ['support'] })
    await h.open()
    expect(await ended(h, run)).toMatchObject({ reason: 'failed', error: { code: 'agent_not_found' } })
    const next = await h.send('s', 'Anybody?')
    const plain = await h.model.next()
    expect(system(plain.options.prompt)).toEqual([])
    plain.finish()
    expect(await ended(h, next.run)).toMatchObject({ reason: 'completed' })
  })
})
