// The summary of an entry, and the filter for entries.
import { expect, it } from 'vitest'
import { clockOf, KINDS, kindOf, matches, span, subjectOf, summaryOf } from './entry-note.ts'
import type { LogEntry } from './run-lane.ts'

type Event = LogEntry['event']

const output: Event = { type: 'run.output', run: 'run_1', index: 4, kind: 'text', text: ' <b>&\n' }
const called: Event = {
  type: 'tool.called',
  run: 'run_1',
  call: 'call_1',
  name: 'look',
  input: { at: 'Bern' },
  where: 'client',
  approval: true,
  attempt: 1,
  until: 0,
  step: 0,
}
const content = [{ type: 'text' as const, text: `😀${'x '.repeat(400)}` }]
const message: Event = {
  type: 'message',
  id: 'm_1',
  role: 'user',
  author: 'ann',
  content,
  policy: 'queue',
  run: 'run_1',
}

it('summarizes an entry by its subject, its kind and its content', () => {
  expect(
    [output, called, message].map((event) => [subjectOf(event), kindOf(event), summaryOf(event).slice(0, 40)]),
  ).toEqual([
    ['run.run_1', 'output', 'text 4: " <b>&\\n"'],
    ['tool.call_1', 'tools', 'look {"at":"Bern"}'],
    ['in.m_1', 'messages', 'ann (queue): 😀x x x x x x x x x x x x x'],
  ])
  expect(summaryOf({ ...output, count: 3 })).toContain('text 4 to 6')
  // Long texts are truncated between two characters as people see them.
  const families = [{ type: 'text' as const, text: '👩‍👩‍👧‍👦'.repeat(80) }]
  expect(summaryOf({ ...message, content: families })).toBe(`ann (queue): ${'👩‍👩‍👧‍👦'.repeat(13)}…`)
  expect(summaryOf(message)).toHaveLength(161)
  // Also if white space makes the text shorter afterwards.
  const spaced = [{ type: 'text' as const, text: `${' '.repeat(626)}😀` }]
  expect(summaryOf({ ...message, content: spaced })).toBe('ann (queue): ')
  // An event of a newer server has no summary.
  expect(summaryOf({ type: 'later.thing' } as unknown as Event)).toBe('')
})

it('finds an entry by its kind and by words of its subject, run, type and text', () => {
  const entry = (event: Event): LogEntry => ({ cursor: 'e1.1', time: 0, event })
  const all = new Set(KINDS)
  expect(matches(entry(called), all, 'CALL_1 bern')).toBe(true)
  expect(matches(entry(called), all, 'run_1 look')).toBe(true)
  expect(matches(entry(called), all, 'run_1 look away')).toBe(false)
  expect(matches(entry(called), new Set(['runs']), '')).toBe(false)
})

it('formats times to the millisecond, and durations in the unit that fits', () => {
  expect(clockOf(new Date(2026, 0, 2, 3, 4, 5, 6).getTime())).toBe('03:04:05.006')
  expect([-5, 0.4, 999, 1_000, 59_940, 61_000, 7_260_000].map(span)).toEqual([
    '0 ms',
    '0 ms',
    '999 ms',
    '1.00 s',
    '59.9 s',
    '1 min 1 s',
    '2 h 1 min',
  ])
})

it('names the agents of an entry, and the child run of a call', () => {
  const started: Event = {
    type: 'run.started',
    run: 'r2',
    epoch: 1,
    mode: 'new',
    model: 'demo',
    message: 'c1',
    next: 0,
  }
  expect(summaryOf({ ...started, agent: 'a', parent: { run: 'r1', call: 'c1' } })).toBe(
    'attempt 1, new, demo, a, child of r1',
  )
  expect(summaryOf({ ...called, child: { run: 'r2', agent: 'a' } })).toBe('look (r2) {"at":"Bern"}')
  expect(summaryOf({ type: 'run.handed', run: 'r1', from: 'a', to: 'b', reason: 'why' })).toBe('a to b: why')
  expect(summaryOf({ ...message, agent: 'a', content: [] })).toBe('ann to a (queue): ')
})
