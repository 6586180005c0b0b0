// Child runs and hand-offs in a view. What a reader without knowledge of them shows is the same: the answer of the parent alone.
import type { Event } from '@parley/protocol'
import { expect, it } from 'vitest'
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
const output = (run: string, text: string): Event => ({ type: 'run.output', run, index: 0, kind: 'text', text })
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
