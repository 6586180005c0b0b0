// Progress of a run whose text was dropped and is written again, and of one that a client has a part of already.
import type { Event, RunOutput, ToolCalled } from '@parley/protocol'
import { RunPieces } from '@parley/protocol/run-pieces'
import { describe, expect, it } from 'vitest'
import { RunProgress } from './run-progress.ts'

const started = (epoch: number, next: number): Event => ({
  type: 'run.started',
  run: 'r',
  epoch,
  mode: epoch === 1 ? 'new' : 'restart',
  model: 'demo',
  message: 'm',
  next,
})
const output = (index: number, text: string): RunOutput => ({ type: 'run.output', run: 'r', index, kind: 'text', text })
const called = (call: string, next: number, epoch = 1): ToolCalled => ({
  type: 'tool.called',
  run: 'r',
  call,
  name: `tool-${call}`,
  input: {},
  where: 'server',
  approval: false,
  attempt: 1,
  step: 0,
  until: 0,
  next,
  epoch,
})

/** The texts and calls that a client gets of the events. @param have the number of events that it has already */
function sent(events: readonly Event[], have = 0, index = 0): string[] {
  const pieces = new RunPieces('r')
  const progress = new RunProgress(index)
  return events.flatMap((event, at) => {
    const { text, calls, notes } = progress.take(pieces.take(event), at < have)
    return [...(text === '' ? [] : [text]), ...calls.map(({ name }) => name), ...notes]
  })
}

describe('the progress of a run', () => {
  const first = [started(1, 0), output(0, 'One'), output(1, ' two'), called('a', 2), output(2, ' three')]

  it('has each text and each call once', () => {
    expect(sent(first)).toEqual(['One', ' two', 'tool-a', ' three'])
  })

  it('has what tools say meanwhile', () => {
    const events: Event[] = [
      started(1, 0),
      called('a', 0),
      { type: 'tool.progress', run: 'r', call: 'a', text: 'half' },
    ]
    expect(sent(events)).toEqual(['tool-a', 'tool-a: half'])
    expect(sent(events, 3)).toEqual([])
    const progress = { type: 'tool.progress', run: 'r', call: 'a' } as const
    const counts: Event[] = [
      { ...progress, done: 1 },
      { ...progress, done: 1, total: 3 },
      { ...progress, text: 'half', done: 1, total: 2 },
    ]
    expect(sent([...events.slice(0, 2), ...counts])).toEqual([
      'tool-a',
      'tool-a: 1',
      'tool-a: 1 of 3',
      'tool-a: half (1 of 2)',
    ])
  })

  it('names the agent that a call asks, once', () => {
    const asked: Event = { ...called('a', 0), child: { run: 'r2', agent: 'helper' } }
    expect(sent([started(1, 0), asked, asked])).toEqual(['Asking helper.'])
    expect(sent([started(1, 0), asked], 2)).toEqual([])
  })

  it('does not repeat the text of a restarted run, and continues where the new one is longer', () => {
    const events = [...first.slice(0, 3), started(2, 3), output(3, 'One t'), output(4, 'wo three'), output(5, ' four')]
    expect(sent(events)).toEqual(['One', ' two', ' three', ' four'])
    // Also if it restarts again meanwhile.
    const again = [...events.slice(0, 5), started(3, 5), output(5, 'One'), output(6, ' two five')]
    expect(sent(again)).toEqual(['One', ' two', ' five'])
  })

  it('says that a different text starts over', () => {
    const events = [...first.slice(0, 3), started(2, 3), output(3, 'One'), output(4, ' for all'), output(5, '!')]
    expect(sent(events)).toEqual(['One', ' two', '\n\nThe answer starts over:\n\nOne for all', '!'])
  })

  it('continues on another node as on the first one, whatever the client has', () => {
    const events = [...first, started(2, 3), output(3, 'One two'), output(4, '\n\n three'), output(5, ' four')]
    const whole = sent(events)
    for (let have = 0; have <= events.length; have += 1) {
      expect([...sent(events.slice(0, have)), ...sent(events, have)]).toEqual(whole)
    }
  })

  it('is not repeated if the log has compacted what the client has', () => {
    const snapshot: Event = {
      type: 'run.snapshot',
      run: 'r',
      epoch: 1,
      message: 'm',
      next: 4,
      output: [{ type: 'text', index: 0, text: 'One two three four', lengths: [3, 4, 6, 5] }],
    }
    expect(sent([snapshot], 0, 2)).toEqual([' three four'])
    expect(sent([snapshot, output(4, ' five')], 0, 4)).toEqual([' five'])
  })
})
