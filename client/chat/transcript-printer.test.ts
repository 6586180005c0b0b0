// The printer of the `parley` command: every call is printed once, also after its arguments were streamed beside those of another.
import type { Event } from '@parley/protocol'
import { describe, expect, it } from 'vitest'
import { applyEntry } from '../session/apply-entry.ts'
import { newSession, type SessionView } from '../session/session-view.ts'
import { TranscriptPrinter } from './transcript-printer.ts'

const RUN = 'r1'
const output = (index: number, more: object): Event =>
  ({ type: 'run.output', run: RUN, index, text: '', ...more }) as Event
const called = (call: string): Event => ({
  type: 'tool.called',
  run: RUN,
  call,
  name: 'look',
  input: { call },
  where: 'server',
  approval: false,
  attempt: 1,
  until: 0,
  step: 0,
})

/** What a printer writes. @param isLive it prints after each event, else once at the end */
function printed(events: readonly Event[], isLive = true): { lines: string[]; printer: TranscriptPrinter } {
  const lines: string[] = []
  const line = (text: string): void => void lines.push(text)
  const printer = new TranscriptPrinter({
    answer: line,
    reasoning: (text) => line(`(${text})`),
    note: (text) => line(`· ${text}`),
    message: (author, text) => line(`${author}: ${text}`),
    startLine: () => undefined,
  })
  let view: SessionView = newSession('s')
  for (const [at, event] of events.entries()) {
    view = applyEntry({ ...view, status: 'live' }, { cursor: `e.${at + 1}`, time: at, event })
    if (isLive) printer.print(view)
  }
  printer.print(view)
  return { lines, printer }
}

describe('agents that work together', () => {
  const usage = { inputTokens: 0, outputTokens: 0 }
  const parent = (call: string) => ({ parent: { run: RUN, call }, agent: 'a' })
  const started = (run: string, message: string, more: object): Event => {
    return { type: 'run.started', run, epoch: 1, mode: 'new', model: 'demo', message, next: 0, ...more }
  }
  const says = (run: string, index: number, text: string, kind = 'text'): Event =>
    ({ type: 'run.output', run, index, kind, text }) as Event
  const asks = (call: string, run: string): Event => {
    return { ...called(call), name: 'ask_a', input: { message: `For ${run}?` }, child: { run, agent: 'a' } } as Event
  }
  const ended = (run: string, next: number, reason: 'completed' | 'cancelled' = 'completed'): Event => {
    return { type: 'run.ended', run, reason, usage, next }
  }
  const message: Event = {
    ...{ type: 'message', id: 'm1', role: 'user', author: 'ada', content: [{ type: 'text', text: 'Go' }] },
    ...{ policy: 'queue', run: RUN, agent: 'lead' },
  } as Event
  const events: readonly Event[] = [
    message,
    started(RUN, 'm1', { agent: 'lead' }),
    asks('c1', 'r2'),
    asks('c2', 'r3'),
    started('r2', 'c1', parent('c1')),
    started('r3', 'c2', parent('c2')),
    says('r2', 0, 'One '),
    says('r3', 0, 'thinks', 'reasoning'),
    says('r2', 1, 'line\nTwo'),
    says('r3', 1, 'Other'),
    ended('r2', 2),
    { type: 'tool.result', run: RUN, call: 'c1', output: 'One line\nTwo', by: 'n1' },
    ended('r3', 2, 'cancelled'),
    { type: 'tool.result', run: RUN, call: 'c2', error: 'The run was cancelled.', by: 'n1' },
    { ...called('c3'), name: 'handoff_to_b', input: {}, handoff: 'b', step: 1 } as Event,
    { type: 'tool.result', run: RUN, call: 'c3', output: 'The conversation is now with b.', by: 'n1' },
    { type: 'run.handed', run: RUN, from: 'lead', to: 'b' },
    says(RUN, 0, 'Done.'),
    ended(RUN, 1),
  ]

  it('are named, and those that were asked speak in lines of their own', () => {
    expect(printed(events).lines).toEqual([
      'ada to lead: Go',
      '· lead answers',
      '· asking a: For r2?',
      '· asking a: For r3?',
      '· [a] One line',
      '· [a] Two',
      '· [a] done',
      '· [a 2] Other',
      '· [a 2] stopped',
      '· handing over to b',
      'Done.',
    ])
  })

  it('are printed before what the answer says about them, also if all arrives at once', () => {
    const { lines } = printed(events.slice(0, -1), false)
    expect(lines.indexOf('· [a 2] stopped')).toBeLessThan(lines.indexOf('Done.'))
    expect(lines.indexOf('· asking a: For r2?')).toBeLessThan(lines.indexOf('· [a] One line'))
  })

  it('are named by their answers alone in an answer that had ended before', () => {
    expect(printed(events, false).lines).toEqual([
      'ada to lead: Go',
      '· lead answers',
      '· asking a: For r2?',
      '· asking a: For r3?',
      '· handing over to b',
      'Done.',
    ])
  })

  it('can be stopped by their names while they work', () => {
    const { printer } = printed(events.slice(0, 11))
    expect([...printer.children.working]).toEqual([['r3', 'a 2']])
    expect(printer.children.labelOf('r2')).toBe('a')
  })
})

it('prints long lines of an agent in pieces', () => {
  const text = 'word '.repeat(100)
  const { lines } = printed([
    ...([
      { type: 'message', id: 'm1', role: 'user', author: 'ada', content: [], policy: 'queue', run: RUN },
    ] as Event[]),
    { type: 'run.started', run: RUN, epoch: 1, mode: 'new', model: 'demo', message: 'm1', next: 0 },
    { ...called('c1'), child: { run: 'r2', agent: 'a' } } as Event,
    {
      ...{ type: 'run.started', run: 'r2', epoch: 1, mode: 'new', model: 'demo', message: 'c1', next: 0 },
      ...{ parent: { run: RUN, call: 'c1' }, agent: 'a' },
    } as Event,
    { type: 'run.output', run: 'r2', index: 0, kind: 'text', text },
  ])
  const pieces = lines.filter((line) => line.startsWith('· [a] '))
  expect(pieces.length).toBeGreaterThan(3)
  for (const piece of pieces) expect(piece.length).toBeLessThan(130)
})

it('prints calls, data, sources and the text around them once', () => {
  const lines: string[] = []
  const note = (text: string): void => void lines.push(text)
  const printer = new TranscriptPrinter({
    answer: note,
    reasoning: note,
    note,
    message: () => undefined,
    startLine: () => undefined,
  })
  const events: Event[] = [
    { type: 'message', id: 'm1', role: 'user', author: 'ada', content: [], policy: 'queue', run: RUN },
    { type: 'run.started', run: RUN, epoch: 1, mode: 'new', model: 'demo', message: 'm1', next: 0 },
    output(0, { kind: 'text', text: 'First.' }),
    output(1, { kind: 'input', call: 'c1', name: 'look', text: '{"call":' }),
    output(2, { kind: 'input', call: 'c2', name: 'look', text: '{"call":"c2"}' }),
    output(3, { kind: 'input', call: 'c1', text: '"c1"}' }),
    called('c1'),
    called('c2'),
    output(4, { kind: 'data', name: 'chart', id: 'd', data: 1 }),
    output(5, { kind: 'source', url: 'https://example.com/' }),
    output(6, { kind: 'text', text: 'Last.' }),
  ]
  let view: SessionView = newSession('s')
  for (const [at, event] of events.entries()) {
    view = applyEntry({ ...view, status: 'live' }, { cursor: `e.${at + 1}`, time: at, event })
    printer.print(view)
  }
  const printed = lines.join('\n')
  expect(printed.match(/calling look/g)).toHaveLength(2)
  for (const text of [
    'First.',
    '{"call":"c1"}',
    '{"call":"c2"}',
    'data chart: 1',
    'source: https://example.com/',
    'Last.',
  ]) {
    expect(printed.split(text)).toHaveLength(2)
  }
})
