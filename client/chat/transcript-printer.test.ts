// The printer of the `parley` command: every call is printed once, also after its arguments were streamed beside those of another.
import type { Event } from '@parley/protocol'
import { expect, it } from 'vitest'
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
