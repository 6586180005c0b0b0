// The checks find each fault that is added to a correct history, and none in the correct history.
import type { Event } from '@parley/protocol'
import { describe, expect, it } from 'vitest'
import { brokenChildren } from './check-children.ts'
import { brokenCalls } from './check-drivers.ts'
import { problems } from './check-history.ts'
import type { History, HistoryRecord, RunSeen } from './history.ts'

const usage = { inputTokens: 0, outputTokens: 0 }
const message = (id: string, run: string, policy: 'queue' | 'interrupt' | 'steer' = 'queue'): Event => {
  return { type: 'message', id, role: 'user', author: 'ada', content: [], policy, run }
}
const output = (run: string, index: number): Event => ({ type: 'run.output', run, index, kind: 'text', text: 'x' })
const started = (run: string, of: string, more: object = {}): Event => {
  return { type: 'run.started', run, epoch: 1, mode: 'new', model: 'demo', message: of, next: 0, ...more }
}
const called = (call: string, attempt: number): Event => {
  const about = { run: 'run_1', name: 'work', input: {}, where: 'client', approval: false, until: 0, step: 0 } as const
  return { type: 'tool.called', call, attempt, ...about }
}
const claimed = (call: string, connection: string, until: number): Event => {
  return { type: 'tool.claimed', run: 'run_1', call, connection, until }
}
const result = (call: string, by: string, command: string): Event => {
  return { type: 'tool.result', run: 'run_1', call, output: 1, by, command }
}
const ended = (run: string, next: number, more: object = { reason: 'completed' }): Event => {
  return { type: 'run.ended', run, usage, next, ...more } as Event
}

/** A call with a lost claim, a steering message after the end of its run, and a cancel. */
const LOG: readonly Event[] = [
  message('c_1', 'run_1'),
  started('run_1', 'c_1'),
  called('call_1', 1),
  claimed('call_1', 'con_a', 1_000),
  called('call_1', 2),
  claimed('call_1', 'con_b', 1_000),
  result('call_1', 'con_b', 'c_result'),
  output('run_1', 0),
  ended('run_1', 1),
  message('c_2', 'run_1', 'steer'),
  started('steer_c_2', 'c_2'),
  output('steer_c_2', 0),
  ended('steer_c_2', 1, { reason: 'cancelled', command: 'c_stop' }),
]

interface Changes {
  readonly log?: readonly Event[]
  readonly more?: readonly HistoryRecord[]
  readonly seen?: Partial<Record<string, Partial<Record<string, Partial<RunSeen>>>>>
}

/** The history of readers `a` (connection 1) and `fresh` (connection 2) of a log; then `more` follows. */
function history({ log = LOG, more = [], seen = {} }: Changes = {}): History {
  const records: HistoryRecord[] = ['a', 'fresh'].flatMap((reader, at): HistoryRecord[] => [
    { kind: 'attached', reader, connection: at + 1, reset: false },
    ...log.map((event, place): HistoryRecord => {
      return { kind: 'entry', reader, connection: at + 1, seq: place + 1, time: place, event }
    }),
  ])
  for (const id of ['c_1', 'c_2']) records.push(ok({ type: 'send', id }))
  records.push(ok({ type: 'tool.result', id: 'c_result' }), ok({ type: 'cancel', id: 'c_stop' }, 'steer_c_2'))
  const runs: Record<string, RunSeen> = {
    run_1: { text: 'x', reasoning: '', next: 1, reason: 'completed' },
    steer_c_2: { text: 'x', reasoning: '', next: 1, reason: 'cancelled' },
  }
  const picture = (reader: string): ReadonlyMap<string, RunSeen> =>
    new Map(Object.entries(runs).map(([run, own]) => [run, { ...own, ...seen[reader]?.[run] }]))
  return {
    records: [...records, ...more],
    pictures: new Map(['a', 'fresh'].map((reader) => [reader, picture(reader)])),
    fresh: 'fresh',
  }
}

function ok(command: Extract<HistoryRecord, { kind: 'ok' }>['command'], run?: string): HistoryRecord {
  return { kind: 'ok', reader: 'a', connection: 1, command, duplicate: false, ...(run === undefined ? {} : { run }) }
}

function live(seq: number): HistoryRecord {
  return { kind: 'live', reader: 'a', connection: 1, seq }
}

function differentText(): Event {
  return { ...output('steer_c_2', 0), text: 'z' } as Event
}

function entry(seq: number, event: Event, connection = 1): HistoryRecord {
  return { kind: 'entry', reader: 'a', connection, seq, time: seq, event }
}

/** One run with two drivers. */
const DRIVERS: readonly Event[] = [
  message('c_1', 'run_1'),
  started('run_1', 'c_1'),
  output('run_1', 0),
  output('run_1', 1),
  started('run_1', 'c_1', { epoch: 2, mode: 'continue', next: 2 }),
  output('run_1', 2),
  ended('run_1', 3),
]
const withDrivers = (place: number, event: Event): Changes => ({
  log: DRIVERS.map((own, at) => (at === place ? event : own)),
})
const snapshot = (run: string, text: string, next: number): Event => {
  const part = { type: 'text' as const, text, index: 0, lengths: Array.from(text, () => 1) }
  return { type: 'run.snapshot', run, epoch: 2, next, output: [part] }
}
/** A message to the demo model, and its answer. */
const demo = (text: string, reason: string, content = '/demo count=3 reasoning=1'): Changes => ({
  log: [{ ...message('c_1', 'run_1'), content: [{ type: 'text', text: content }] } as Event, ...DRIVERS.slice(1)],
  seen: Object.fromEntries(['a', 'fresh'].map((name) => [name, { run_1: { text, reasoning: 'r0', reason } }])),
})

const without = (place: number): readonly Event[] => LOG.filter((_, at) => at !== place)
const withAt = (place: number, event: Event): readonly Event[] => [...LOG.slice(0, place), event, ...LOG.slice(place)]

describe('a history', () => {
  it('has no problems if it is correct', () => {
    expect(problems(history())).toEqual([])
  })

  it('may repeat everything to a reader that was reset', () => {
    const more = [
      { kind: 'attached', reader: 'a', connection: 1, reset: true } as const,
      ...LOG.map((event, place) => entry(place + 1, event)),
    ]
    expect(problems(history({ more }))).toEqual([])
  })

  it('may contain a run compacted or merged for readers that catch up', () => {
    const more = [
      { kind: 'forgot', reader: 'a', connection: 1 } as const,
      ...DRIVERS.map((event, place): HistoryRecord => entry(place + 1, event)),
      { kind: 'attached', reader: 'a', connection: 2, reset: true } as const,
      ...[DRIVERS[0], DRIVERS[1]].map((event, place): HistoryRecord => entry(place + 1, event as Event, 2)),
      entry(4, { ...output('run_1', 0), text: 'xx', count: 2 } as Event, 2),
      entry(6, snapshot('run_1', 'xxx', 3), 2),
      { kind: 'attached', reader: 'a', connection: 3, reset: true } as const,
      entry(1, DRIVERS[0] as Event, 3),
      entry(6, snapshot('run_1', 'xxx', 3), 3),
      entry(7, { ...(DRIVERS[6] as object), output: [] } as Event, 3),
    ]
    const found = problems(history({ log: [], more }))
    expect(found.filter((problem) => !/lacks message|stored no result|sees|never ended/.test(problem))).toEqual([])
  })

  it.each<[string, Changes, RegExp]>([
    ['a lost acknowledged message', { more: [ok({ type: 'send', id: 'c_3' })] }, /a lacks message c_3/],
    ['a repeated message', { more: [entry(1, message('c_1', 'run_1'))] }, /a has message c_1 twice/],
    ['a run that never ends', { seen: { fresh: { run_1: { reason: undefined } } } }, /run_1 never ended/],
    ['a message whose run is unknown', { log: [...LOG, message('c_3', 'run_3')] }, /run_3 never ended/],
    [
      'a late steering message without an answer',
      { log: [...LOG, message('c_4', 'run_1', 'steer')] },
      /steer_c_4 never ended/,
    ],
    ['a reader with a different text', { seen: { a: { run_1: { text: 'y' } } } }, /a sees run_1 as .*"y"/],
    ['output after the ok of a cancel', { more: [entry(12, output('steer_c_2', 0))] }, /after the ok of c_stop/],
    ['output stored after the end', { log: [...LOG, output('run_1', 1)] }, /run.output of run_1 at 14/],
    ['two different ends', { log: [...LOG, ended('run_1', 2)] }, /run_1 ended twice/],
    [
      'a cancel that ends two runs',
      { log: [...LOG, message('c_5', 'run_5'), ended('run_5', 0, { reason: 'cancelled', command: 'c_stop' })] },
      /c_stop had end of steer_c_2 and end of run_5/,
    ],
    [
      'an acknowledged result that is not stored',
      { more: [ok({ type: 'tool.result', id: 'c_r' })] },
      /c_r was acknowledged/,
    ],
    ['two concurrent claims', { log: without(4) }, /claimed by con_b while con_a held it/],
    ['two results', { log: withAt(8, result('call_1', 'con_b', 'c_r')) }, /call_1 has two results/],
    [
      'a result from a connection without the claim',
      { log: withAt(6, result('call_1', 'con_a', 'c_r')) },
      /result from con_a while con_b/,
    ],
    ['a call without a result', { log: withAt(8, called('call_2', 1)) }, /call_2 of a completed run has no result/],
    ['an entry out of order', { more: [entry(3, called('call_1', 1))] }, /a got entry 3 after 13/],
    ['a repeated entry', { more: [entry(13, LOG[12] as Event)] }, /a got entry 13 after 13/],
    ['a reader that is live too early', { more: [live(12)] }, /a is live at 12, after 13/],
    ['a gap in a run', { log: LOG.toSpliced(7, 1, output('run_1', 1)) }, /index 1 of run_1, expected 0/],
    ['a repeated index', { log: withAt(8, output('run_1', 0)) }, /index 0 of run_1, expected 1/],
    ['a run without its last output', { log: without(7) }, /run_1 ends at 1, expected 0/],
    ['a snapshot that removes output', withDrivers(6, snapshot('run_1', 'x', 1)), /resets run_1 from 3 to 1/],
    ['a node with a different entry', { more: [entry(12, differentText(), 9)] }, /a and a differ at 12/],
    [
      'a snapshot with a different text',
      withDrivers(6, snapshot('run_1', 'xyx', 3)),
      /run.snapshot at 7 has a different text for run_1/,
    ],
    [
      'merged outputs with a different text',
      { more: [entry(8, { ...output('run_1', 0), text: 'y', count: 1 } as Event, 9)] },
      /run.output at 8 has a different text for run_1|differ at 8/,
    ],
    ['an answer with a different text', demo('0 1 3', 'completed'), /run_1 \(completed\) says "0 1 3/],
    ['an incomplete answer', demo('0 1', 'completed'), /run_1 \(completed\) says "0 1/],
    ['a cancelled answer with a different text', demo('0 2', 'cancelled'), /run_1 \(cancelled\) says "0 2/],
    ['a repeated epoch', withDrivers(4, started('run_1', 'c_1', { next: 2 })), /started with epoch 1 at 5, after 1/],
    ['a skipped epoch', withDrivers(4, started('run_1', 'c_1', { epoch: 3, next: 2 })), /with epoch 3 at 5, after 1/],
    [
      'a driver that starts at a wrong index',
      withDrivers(4, started('run_1', 'c_1', { epoch: 2, next: 1 })),
      /run_1 was started at index 1 at 5, expected 2/,
    ],
    [
      'output of a replaced driver',
      withDrivers(5, output('run_1', 1)),
      /index 1 of run_1 at 6, expected 2: two drivers/,
    ],
    [
      'a snapshot of a replaced driver',
      { log: DRIVERS.toSpliced(6, 0, { ...snapshot('run_1', 'xxx', 3), epoch: 1 } as Event) },
      /run.snapshot of run_1 at 7 has epoch 1 after 2/,
    ],
  ])('has a problem with %s', (_, changes, expected) => {
    expect(problems(history(changes))).toContainEqual(expect.stringMatching(expected))
  })
})

it('ignores a call that a replaced driver appended after the end of a compacted run', () => {
  const sequence = (epoch: number) =>
    [ended('run_1', 2, { reason: 'completed', epoch: 2 }), { ...called('call_1', 1), epoch } as Event].map(
      (event, place) => ({ seq: place + 1, time: place, event }),
    )
  expect(brokenCalls(sequence(1))).toEqual([])
  expect(brokenCalls(sequence(2))).toEqual(['call_1 of a completed run has no result'])
})

describe('child runs', () => {
  const parent = { run: 'run_1', call: 'call_1' }
  const asks = { ...called('call_1', 1), child: { run: 'child', agent: 'a' } } as Event
  const child = started('child', 'call_1', { parent, agent: 'a' })
  const start = [message('c_1', 'run_1'), started('run_1', 'c_1'), asks, child, output('child', 0)]
  const broken = (...events: readonly Event[]) =>
    brokenChildren(events.map((event, seq) => ({ seq, time: seq, event })))

  it('end before their parents, one for each call', () => {
    expect(broken(...start, ended('child', 1), ended('run_1', 0))).toEqual([])
    expect(broken(...start, ended('run_1', 0), output('child', 1))).toEqual([
      'run.output of child at 6, after the end of run_1',
    ])
    expect(broken(...start, started('second', 'call_1', { parent, agent: 'a' }))).toHaveLength(1)
  })
})
