// The fair share of one user: runs of agents that agents ask count, waits cost nothing, and every run gets its turn.
import { afterEach, describe, expect, it } from 'vitest'
import { defineTool } from '../../tool/define-tool.ts'
import { CALLER, EngineHarness, type HarnessOptions, OTHER, type PlayedCall } from '../test/engine-harness.ts'
import { FairShare } from './fair-share.ts'

const open: EngineHarness[] = []
async function start(options: HarnessOptions = {}): Promise<EngineHarness> {
  const harness = await EngineHarness.start(options)
  open.push(harness)
  return harness
}
afterEach(async () => {
  for (const harness of open.splice(0)) await harness.dispose()
})

const questionOf = (call: PlayedCall): string => JSON.stringify(call.options.prompt.at(-1))
const ended = (h: EngineHarness, session: string, run?: string) =>
  h.event(session, 'run.ended', (event) => run === undefined || event.run === run)

describe('the fair share of a user', () => {
  it('leaves room for other users, and later runs wait', async () => {
    const h = await start({ concurrency: 2, userConcurrency: 1 })
    await h.send('s', 'one')
    const first = await h.model.next()
    await h.send('t', 'two')
    await h.send('u', 'three', {}, OTHER)
    const other = await h.model.next()
    expect(questionOf(other)).toMatch(/three/)
    other.finish()
    await ended(h, 'u')
    expect(h.model.calls).toHaveLength(2)
    first.finish()
    const second = await h.model.next()
    expect(questionOf(second)).toMatch(/two/)
    second.finish()
    expect(await ended(h, 't')).toMatchObject({ reason: 'completed' })
  })

  it('keeps no handler from other users, however many runs wait', async () => {
    const h = await start({ concurrency: 2, userConcurrency: 1 })
    await h.send('s', 'one')
    await h.model.next()
    // More than ten for each place.
    for (let n = 0; n < 30; n += 1) await h.send(`s${n}`, 'more')
    await h.send('t', 'hi', {}, OTHER)
    expect(questionOf(await h.model.next())).toMatch(/hi/)
  })

  it('does not divide the runs of people who have no access tokens', async () => {
    const h = await start({ concurrency: 2, userConcurrency: 1 })
    const anybody = { ...CALLER, user: 'anonymous' }
    await h.send('s', 'one', {}, anybody)
    await h.send('t', 'two', {}, anybody)
    await h.model.next()
    await h.model.next()
  })

  it('counts the runs of agents that an agent asks, each of which gets its turn', async () => {
    const agents: HarnessOptions['agents'] = new Map([
      ['lead', { system: 'You lead.', agents: ['researcher'] }],
      ['researcher', { system: 'You research.' }],
    ])
    const h = await start({ agents, concurrency: 3, userConcurrency: 2 })
    const { run } = await h.send('s', 'Go.', { agent: 'lead' })
    const lead = await h.model.next()
    for (let n = 0; n < 6; n += 1) lead.tool('ask_researcher', { message: `Question ${n}?` })
    lead.finish('tool-calls')
    const asked = [await h.model.next(), await h.model.next()]
    await h.send('t', 'hi', {}, OTHER)
    const other = await h.model.next()
    expect(questionOf(other)).toMatch(/hi/)
    other.finish()
    await ended(h, 't')
    expect(h.model.calls).toHaveLength(4)
    for (let n = 0; n < 4; n += 1) {
      asked[n]?.finish()
      asked.push(await h.model.next())
    }
    for (const call of asked.slice(4)) call.finish()
    const last = await h.model.next()
    expect(h.model.calls).toHaveLength(9)
    last.finish()
    expect(await ended(h, 's', run)).toMatchObject({ reason: 'completed' })
  })

  it('is not used up by runs that wait for people, and those have a turn again afterwards', async () => {
    const pay = defineTool({ name: 'pay', inputSchema: {}, approval: true, execute: () => 'paid' })
    const h = await start({ serverTools: [pay], concurrency: 2, userConcurrency: 1 })
    await h.send('s', 'one')
    const first = await h.model.next()
    first.tool('pay', {})
    first.finish('tool-calls')
    const { call } = await h.event('s', 'tool.called')
    await h.send('t', 'two')
    const second = await h.model.next()
    await h.service.decide({ type: 'tool.decide', id: 'd', session: 's', call, decision: 'approve' }, CALLER)
    await h.event('s', 'tool.result')
    expect(h.model.calls).toHaveLength(2)
    second.finish()
    const third = await h.model.next()
    expect(questionOf(third)).toContain('paid')
    third.finish()
    expect(await ended(h, 's')).toMatchObject({ reason: 'completed' })
  })

  it('does not delay the end of a run that waits, or of the engine', async () => {
    const h = await start({ userConcurrency: 1 })
    await h.send('s', 'one')
    const first = await h.model.next()
    const { run } = await h.send('t', 'two')
    await h.send('u', 'three')
    await h.service.cancel({ type: 'cancel', id: 'c', session: 't', run }, CALLER)
    expect(await ended(h, 't')).toMatchObject({ reason: 'cancelled' })
    await h.close()
    await first.aborted
    await h.open()
    // After the restart, the interrupted run and the one that waited are both driven.
    const again = [await h.model.next()]
    again[0]?.finish()
    again.push(await h.model.next())
    again[1]?.finish()
    expect(await Promise.all([ended(h, 's'), ended(h, 'u')])).toMatchObject([
      { reason: 'completed' },
      { reason: 'completed' },
    ])
  })
})

it('places are released and forgotten whatever the order of entering, waiting and leaving', async () => {
  const share = new FairShare(2)
  const gone = new AbortController()
  expect([share.enter('ada'), share.enter('ada'), share.enter('ada'), share.enter('bob')]).toEqual([
    true,
    true,
    false,
    true,
  ])
  const waits = [share.free('ada', gone.signal), share.free('ada', new AbortController().signal)]
  gone.abort()
  await waits[0]
  share.leave('ada')
  await waits[1]
  expect([share.enter('ada'), share.enter('ada')]).toEqual([true, false])
  let during: boolean[] = []
  const idle = share.idle('ada', (wait) => wait, new AbortController().signal)
  const wait = async (): Promise<string> => {
    await Promise.resolve()
    during = [share.enter('ada'), share.enter('ada')]
    share.leave('ada')
    return 'done'
  }
  expect(await idle(wait())).toBe('done')
  expect(during).toEqual([true, false])
  await expect(idle(Promise.reject(new Error('denied')))).rejects.toThrow('denied')
  expect(share.enter('ada')).toBe(false)
})
