// Child runs and hand-offs in a view. What a reader without knowledge of them shows is the same: the answer of the parent alone.
import type { Event } from '@parley/protocol'
import { expect, it } from 'vitest'
import { agentOfNext, childRuns, firstAgent, mentionedAgent } from './agents.ts'
import { applyEntry } from './apply-entry.ts'
import { newSession, type SessionView } from './session-view.ts'

const usage = { inputTokens: 0, outputTokens: 0 }
const parent = { run: 'lead', call: 'call_1' }
const ask: Event = {
  type: 'tool.called',
  ...parent,
  name: 'ask_a',
  input: { message: 'One?' },
  where: 'server',
  approval: false,
  attempt: 1,
  until: 0,
  step: 0,
  next: 0,
  epoch: 1,
  child: { run: 'child', agent: 'a' },
}
const output = (run: string, text: string, index = 0): Event => ({ type: 'run.output', run, index, kind: 'text', text })
const started = (run: string, message: string, more: object): Event => {
  return { type: 'run.started', run, epoch: 1, mode: 'new', model: 'demo', message, next: 0, ...more }
}
const EVENTS: readonly Event[] = [
  { type: 'message', id: 'm', role: 'user', author: 'ada', content: [], policy: 'queue', run: 'lead', agent: 'lead' },
  started('lead', 'm', { agent: 'lead' }),
  ask,
  started('child', 'call_1', { parent, agent: 'a' }),
  output('child', '42'),
  { type: 'run.ended', run: 'child', reason: 'completed', usage, next: 1 },
  { type: 'tool.result', ...parent, output: '42', by: 'n1' },
  { ...ask, call: 'call_2', name: 'handoff_to_support', input: {}, step: 1, child: undefined, handoff: 'support' },
  { type: 'tool.result', run: 'lead', call: 'call_2', output: 'The conversation is now with support.', by: 'n1' },
  { type: 'run.handed', run: 'lead', from: 'lead', to: 'support' },
  output('lead', 'It is 42.'),
  { type: 'run.ended', run: 'lead', reason: 'completed', usage, next: 1 },
]

function viewOf(events: readonly Event[]): SessionView {
  let view = newSession('s')
  for (const [at, event] of events.entries()) view = applyEntry(view, { cursor: `e.${at + 1}`, time: at, event })
  return view
}

it('shows the parent as the answer and as the active run, and the child under its call', () => {
  const midway = viewOf(EVENTS.slice(0, 5))
  expect(midway.activeRun).toBe('lead')
  expect(midway.runs.get('child')).toMatchObject({ parent, agent: 'a', text: '42', status: 'running' })
  expect(midway.calls.get('call_1')).toMatchObject({ child: { run: 'child', agent: 'a' } })
  const whole = viewOf(EVENTS)
  expect(whole.turns.map(({ run }) => [run?.id, run?.text])).toEqual([['lead', 'It is 42.']])
  expect(whole.runs.get('lead')).toMatchObject({ status: 'completed', agent: 'support' })
  expect(whole.calls.get('call_1')).toMatchObject({ status: 'completed', output: '42' })
  expect(whole.open).toEqual([])
})

it('has nothing to show for a child whose parent it does not know, and loses nothing else', () => {
  const [message, start, , ...rest] = EVENTS
  const foreign = rest.filter((event) => event.type !== 'tool.result')
  const view = viewOf([message, start, ...foreign].flatMap((event) => event ?? []))
  expect(view.turns.map(({ run }) => run?.text)).toEqual(['It is 42.'])
})

it('never takes a child for the active run, also if it is known before its parent', () => {
  const view = viewOf(EVENTS.slice(3, 5))
  expect(view.open).toEqual(['child'])
  expect(view.activeRun).toBeUndefined()
  // A child that began after the message which interrupts its parent.
  const interrupt: Event = { ...(EVENTS[0] as Event & { type: 'message' }), id: 'm2', policy: 'interrupt', run: 'r2' }
  const late = viewOf([...EVENTS.slice(0, 3), interrupt, ...EVENTS.slice(3, 5)])
  expect(late.open).toEqual(['lead', 'r2', 'child'])
  expect(late.activeRun).toBe('r2')
})

it('knows the child runs of a run at all levels, in the order of their calls', () => {
  const nested = { run: 'child', call: 'call_3' }
  const view = viewOf([
    ...EVENTS.slice(0, 5),
    { ...ask, ...nested, next: 1, child: { run: 'grandchild', agent: 'b' } },
    { ...ask, call: 'call_4', child: { run: 'second', agent: 'a' } },
    started('second', 'call_4', { parent: { run: 'lead', call: 'call_4' }, agent: 'a' }),
    started('grandchild', 'call_3', { parent: nested, agent: 'b' }),
  ])
  const lead = view.runs.get('lead')
  expect(lead && childRuns(view, lead).map(({ id }) => id)).toEqual(['child', 'grandchild', 'second'])
})

it('knows who begins an answer, who ends it, and who gets the next message', () => {
  const of = (view: SessionView): unknown[] => {
    const run = view.runs.get('lead')
    return [run && firstAgent(view, run), run?.agent, agentOfNext(view)]
  }
  expect(of(viewOf(EVENTS.slice(0, 1)))).toEqual(['lead', undefined, undefined])
  expect(of(viewOf(EVENTS.slice(0, 5)))).toEqual(['lead', 'lead', undefined])
  expect(of(viewOf(EVENTS))).toEqual(['lead', 'support', 'support'])
  // Of a compacted log, only the message and the calls say it.
  const end: Event = { type: 'run.ended', run: 'lead', reason: 'completed', usage, next: 1, agent: 'support' }
  const tool = { type: 'tool' as const, call: 'call_2', name: 'handoff_to_support' }
  const isKept = ({ type }: Event): boolean => type === 'message' || type === 'tool.called' || type === 'tool.result'
  const kept = EVENTS.filter((event) => isKept(event))
  expect(of(viewOf([...kept, { ...end, message: 'm', output: [tool] }]))).toEqual(['lead', 'support', 'support'])
  // A message that names nobody goes to the agent of the conversation, and its answer keeps it there.
  const { agent: _, ...unnamed } = EVENTS[0] as Event & { type: 'message' }
  const later = [{ ...unnamed, id: 'm2', run: 'r2' }, started('r2', 'm2', { agent: 'support' })]
  expect(agentOfNext(viewOf([...EVENTS, ...later]))).toBe('support')
  // A message that was added to the answer changes nothing, also if it names another agent.
  const steer = { ...unnamed, id: 'm3', run: 'lead', policy: 'steer' as const, agent: 'sales' }
  expect(agentOfNext(viewOf([...EVENTS.slice(0, -1), steer]))).toBe('support')
  // It hands back, and its start is compacted away.
  const back = { run: 'r2', call: 'call_3' }
  const view = viewOf([
    ...EVENTS,
    { ...unnamed, id: 'm2', run: 'r2' },
    { ...ask, ...back, name: 'handoff_to_lead', child: undefined, handoff: 'lead' },
    { type: 'tool.result', ...back, output: 'The conversation is now with lead.', by: 'n1' },
    { ...end, run: 'r2', agent: 'lead', message: 'm2', output: [{ ...tool, call: 'call_3' }] },
  ])
  const second = view.runs.get('r2')
  expect([second && firstAgent(view, second), agentOfNext(view)]).toEqual(['support', 'lead'])
})

it.each([
  ['@poet Write.', 'poet', 'Write.'],
  [' @poet: /demo count=1', 'poet', '/demo count=1'],
  ['@poet-2, Write.', 'poet-2', 'Write.'],
  ['@poet', 'poet', '@poet'],
  ['@poets Write.', undefined, undefined],
  ['@nobody Write.', undefined, undefined],
  ['Ask @poet', undefined, undefined],
])('finds the agent that %j names', (text, agent, rest) => {
  expect(mentionedAgent(text, ['poet', 'poet-2'])).toEqual(agent === undefined ? undefined : { agent, text: rest })
})

it('shows the messages of a remote agent as texts of their own, without the data that marks them', () => {
  const message = (index: number): Event => {
    return {
      type: 'run.output',
      run: 'lead',
      index,
      kind: 'data',
      name: 'agui-message',
      data: { id: `m${index}` },
    } as Event
  }
  const texts = [message(0), output('lead', 'One', 1), message(2), output('lead', 'Two', 3), output('lead', '!', 4)]
  const { parts, next } = viewOf([...EVENTS.slice(0, 2), ...texts]).runs.get('lead') ?? {}
  expect(parts).toEqual([
    { type: 'text', text: 'One', index: 0, count: 2 },
    { type: 'text', text: 'Two!', index: 2, count: 3 },
  ])
  expect(next).toBe(5)
})
