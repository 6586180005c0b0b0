// The timeline: for any entry, in any order of requests, the view equals the replay of all entries up to it. The lanes
// agree with that view.
import { applyEntry, isEnded, newSession, type SessionView } from '@parley/client'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ScriptedLog, STEP_KINDS, type Step } from '../../../server/session/test/scripted-log.ts'
import { drawLane, wordsOf } from './lane-drawing.ts'
import { mapRuns } from './map-runs.ts'
import { type LogEntry, nested } from './run-lane.ts'
import { CHECKPOINT_INTERVAL, Timeline } from './timeline.ts'

type Event = LogEntry['event']

const USAGE = { inputTokens: 1, outputTokens: 2 }

/** Generates a log of consecutive runs. Its clock advances by 10 ms with each entry. */
class GeneratedLog {
  readonly entries: LogEntry[] = []
  #run: { id: string; message: string; epoch: number; next: number; text: string } | undefined
  #runs = 0
  #calls: string[] = []

  add(event: Event): void {
    const seq = this.entries.length + 1
    this.entries.push({ cursor: `e1.${seq}`, time: 1_000 + 10 * seq, event })
  }

  step(kind: string): void {
    const run = this.#run
    if (run === undefined) {
      this.#runs += 1
      const id = `run_${this.#runs}`
      this.#run = { id, message: `m_${this.#runs}`, epoch: 0, next: 0, text: '' }
      const content = [{ type: 'text' as const, text: `question ${this.#runs}` }]
      this.add({
        type: 'message',
        id: `m_${this.#runs}`,
        role: 'user',
        author: 'ann',
        content,
        policy: 'queue',
        run: id,
      })
    } else if (run.epoch === 0 || kind === 'restart') {
      run.epoch += 1
      const mode = run.epoch === 1 ? ('new' as const) : ('restart' as const)
      if (mode === 'restart') run.text = ''
      const about = { epoch: run.epoch, model: 'demo', message: run.message, owner: `node-${run.epoch % 2}` }
      this.add({ type: 'run.started', run: run.id, mode, ...about, next: run.next })
    } else if (kind === 'call') {
      const call = `call_${this.entries.length}`
      this.#calls.push(call)
      const until = 1_000_000
      const made = { name: 'look', input: {}, where: 'client' as const, approval: false, attempt: 1, until, step: 0 }
      this.add({ type: 'tool.called', run: run.id, call, ...made, epoch: run.epoch })
    } else if (kind === 'result' && this.#calls.length > 0) {
      this.add({ type: 'tool.result', run: run.id, call: this.#calls.pop() ?? '', output: 1, by: 'con_1' })
    } else if (kind === 'end') {
      this.add({ type: 'run.ended', run: run.id, reason: 'completed', usage: USAGE, next: run.next })
      this.#run = undefined
      this.#calls = []
    } else {
      const text = ` ${run.next}`
      this.add({ type: 'run.output', run: run.id, index: run.next, kind: 'text', text })
      run.next += 1
      run.text += text
    }
  }
}

const script = fc.array(fc.constantFrom('output', 'output', 'output', 'call', 'result', 'restart', 'end'), {
  maxLength: 400,
})

function made(steps: readonly string[]): readonly LogEntry[] {
  const log = new GeneratedLog()
  for (const step of steps) log.step(step)
  return log.entries
}

function timelineOf(entries: readonly LogEntry[], max?: number): Timeline {
  const timeline = new Timeline('s', max)
  for (const entry of entries) timeline.add(entry)
  return timeline
}

/** A view as plain values. */
function plain(view: SessionView) {
  return { ...view, runs: [...view.runs], calls: [...view.calls] }
}

function replayTo(entries: readonly LogEntry[], index: number): SessionView {
  return entries.slice(0, index + 1).reduce((view, entry) => applyEntry(view, entry), newSession('s'))
}

describe('a timeline', () => {
  it('returns at every entry the replay up to it, in any order of requests', () => {
    fc.assert(
      fc.property(script, fc.array(fc.nat(500), { maxLength: 12 }), (steps, places) => {
        const entries = made(steps)
        const timeline = timelineOf(entries)
        expect(timeline.count).toBe(entries.length)
        for (const place of [...places, entries.length - 1].filter((index) => index < entries.length)) {
          expect(plain(timeline.viewAt(place))).toEqual(plain(replayTo(entries, place)))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('returns the same views after it has evicted the oldest entries', () => {
    fc.assert(
      fc.property(script, fc.array(fc.nat(500), { maxLength: 12 }), (steps, places) => {
        const entries = made([...steps, ...new Array<string>(3 * CHECKPOINT_INTERVAL).fill('output')])
        const timeline = timelineOf(entries, CHECKPOINT_INTERVAL)
        expect(timeline.first % CHECKPOINT_INTERVAL).toBe(0)
        expect(timeline.count - timeline.first).toBeLessThan(2 * CHECKPOINT_INTERVAL)
        for (const place of places.filter((index) => index >= timeline.first && index < entries.length)) {
          expect(timeline.entry(place)).toBe(entries[place])
          expect(plain(timeline.viewAt(place))).toEqual(plain(replayTo(entries, place)))
        }
        expect(plain(timeline.viewAt(-1))).toEqual(plain(replayTo(entries, timeline.first - 1)))
      }),
      { numRuns: 30 },
    )
  })

  it('rejects a gap, and ignores a repeated entry', () => {
    const entries = made(['output', 'output', 'output', 'output', 'output'])
    const timeline = timelineOf(entries)
    timeline.add(entries[0] as LogEntry)
    expect(timeline.count).toBe(entries.length)
    const gap: Event = { type: 'run.output', run: 'run_1', index: 9, kind: 'text', text: 'x' }
    expect(() => timeline.add({ cursor: 'e1.99', time: 9, event: gap })).toThrow()
    expect(timeline.count).toBe(entries.length)
    expect(timeline.lanes.get('run_1')?.outputs).toBe(3)
  })
})

describe('a lane', () => {
  it('agrees with the session’s view after compaction, failover, steering and interruption', () => {
    const script = fc.array(
      fc.record({ kind: fc.constantFrom(...STEP_KINDS, 'output', 'output', 'output'), pick: fc.nat(50) }),
      { maxLength: 80 },
    ) as fc.Arbitrary<Step[]>
    fc.assert(
      fc.property(script, fc.nat(100), (steps, place) => {
        const log = new ScriptedLog()
        for (const step of steps) log.apply(step)
        const head = log.entries.at(-1)?.seq ?? 0
        const entries = log.read(0, head).map(({ seq, time, event }) => ({ cursor: `e1.${seq}`, time, event }))
        const timeline = timelineOf(entries)
        const at = Math.min(place, entries.length - 1)
        expect(plain(timeline.viewAt(at))).toEqual(plain(replayTo(entries, at)))
        for (const [id, lane] of timeline.lanes) {
          const run = timeline.head.runs.get(id)
          expect(lane.outputs).toBe(run?.next)
          expect(lane.end?.reason).toBe(run !== undefined && isEnded(run) ? run.status : undefined)
          if (run !== undefined && run.epoch > 0) expect(lane.attempts.at(-1)?.attempt).toBe(run.epoch)
          for (const { from, to } of drawLane(lane, head).bars) expect(from).toBeLessThanOrEqual(to)
          expect(wordsOf(lane, head).length).toBeGreaterThan(1)
        }
      }),
      { numRuns: 150 },
    )
  })

  it('lists the attempts of a run and its failover', () => {
    const log = new GeneratedLog()
    for (const step of ['', '', 'output', 'restart', 'output', 'end']) log.step(step)
    const lane = timelineOf(log.entries).lanes.get('run_1')
    expect(lane).toMatchObject({
      author: 'ann',
      message: 'm_1',
      startAt: 1_010,
      firstAt: 1_030,
      separateOutputs: 2,
      compacted: false,
    })
    expect(lane?.attempts).toEqual([
      { attempt: 1, node: 'node-1', mode: 'new', at: 1_020, until: 1_030 },
      { attempt: 2, node: 'node-0', mode: 'restart', at: 1_040 },
    ])
    if (lane === undefined) return
    expect(wordsOf(lane, 0)).toEqual([
      'Queued for 10 ms.',
      'Attempt 1 on node-1 (new), then attempt 2 on node-0 (restart) after 10 ms without output.',
      'First output 10 ms after the start.',
      '2 outputs.',
      'Completed after 50 ms.',
    ])
    expect(drawLane(lane, 0).bars.map(({ kind, from, to }) => [kind, from, to])).toEqual([
      ['queued', 0, 0.2],
      ['running', 0.2, 0.4],
      ['silent', 0.4, 0.6],
      ['running', 0.6, 1],
    ])
  })

  it('says what compaction dropped and kept', () => {
    const log = new GeneratedLog()
    log.step('')
    const output = [{ type: 'text' as const, text: 'a b c', index: 0, lengths: [1, 2, 2] }]
    const kept = { epoch: 3, model: 'demo', message: 'm_1', owner: 'node-c', startedAt: 1_012 }
    log.add({ type: 'run.ended', run: 'run_1', ...kept, reason: 'cancelled', by: 'bob', usage: USAGE, next: 3, output })
    const lane = timelineOf(log.entries).lanes.get('run_1')
    expect(lane).toMatchObject({
      compacted: true,
      separateOutputs: 0,
      outputs: 3,
      firstAt: undefined,
      end: { reason: 'cancelled' },
    })
    expect(lane?.attempts).toEqual([{ attempt: 3, node: 'node-c', mode: undefined, at: 1_012 }])
    if (lane === undefined) return
    expect(wordsOf(lane, 0)).toEqual([
      '2 earlier attempts were compacted.',
      'Attempt 3 on node-c.',
      '3 outputs.',
      'Compacted: text of 3 outputs kept, timing dropped.',
      'Cancelled by bob after 10 ms.',
    ])
    expect(drawLane(lane, 0).bars.map(({ kind }) => kind)).toEqual(['unknown', 'running'])
  })

  it('draws a call from its approval and its claims to its result', () => {
    const log = new GeneratedLog()
    log.step('')
    log.step('')
    const call = { run: 'run_1', call: 'call_1' }
    const made = {
      name: 'look',
      input: {},
      where: 'client' as const,
      approval: true,
      attempt: 1,
      until: 9_999,
      step: 0,
    }
    log.add({ type: 'tool.called', ...call, ...made })
    log.add({ type: 'tool.decided', ...call, decision: 'approve', by: 'bob' })
    log.add({ type: 'tool.claimed', ...call, connection: 'con_1', until: 5_000 })
    log.add({ type: 'tool.claimed', ...call, connection: 'con_1', until: 6_000 })
    log.add({ type: 'tool.called', ...call, ...made, attempt: 2 })
    log.add({ type: 'tool.claimed', ...call, connection: 'con_2', until: 7_000 })
    log.add({ type: 'tool.result', ...call, error: 'no', by: 'con_2' })
    const lane = timelineOf(log.entries).lanes.get('run_1')
    if (lane === undefined) throw new Error('There is no lane.')
    expect(drawLane(lane, 1_090).calls[0]?.bars.map(({ kind, label }) => [kind, label])).toEqual([
      ['deciding', 'look, approved by bob: 10 ms'],
      ['offered', 'look, waiting for a device: 10 ms'],
      ['executing', 'look, on con_1: 30 ms'],
      ['failed', 'look, on con_2: 10 ms'],
    ])
  })
})

it('maps runs to the range of their entries, with overlapping runs in separate rows', () => {
  const log = new GeneratedLog()
  for (const step of ['', '', 'output', 'end', '', '', 'output', 'output', 'output']) log.step(step)
  const lanes = [...timelineOf(log.entries).lanes.values()]
  const waiting = { ...lanes[0], run: 'run_0', from: 1, to: 2 } as (typeof lanes)[number]
  expect(mapRuns([lanes[0] as (typeof lanes)[number], waiting, lanes[1] as (typeof lanes)[number]], 0, 9, 2)).toEqual([
    { run: 'run_1', runs: 1, from: 0, to: 3, row: 0, reason: 'completed' },
    { run: 'run_0', runs: 1, from: 1, to: 2, row: 1, reason: 'completed' },
    { run: 'run_2', runs: 1, from: 4, to: 8, row: 0, reason: 'open' },
  ])
  // If there are very many runs, neighbours share a bar, and the bars still cover the whole timeline.
  const many = Array.from({ length: 700 }, (_, at) => ({ ...waiting, run: `run_${at}`, from: 3 * at, to: 3 * at + 2 }))
  const bars = mapRuns(many, 0, 2_100, 2)
  expect(bars).toHaveLength(175)
  expect(bars[0]).toEqual({ run: 'run_0', runs: 4, from: 0, to: 11, row: 0, reason: 'completed' })
  expect(bars.at(-1)?.to).toBe(2_099)
})

it('lists child runs below their parents, with the agents that answered', () => {
  const timeline = new Timeline('s')
  const started = (run: string, agent: string, parent?: string): Event => {
    const of = parent === undefined ? {} : { parent: { run: parent, call: `call_${run}` } }
    return { type: 'run.started', run, epoch: 1, mode: 'new', model: 'demo', message: 'm', next: 0, agent, ...of }
  }
  const events: readonly Event[] = [
    started('one', 'lead'),
    started('two', 'lead'),
    started('one.1', 'a', 'one'),
    started('two.1', 'a', 'two'),
    started('one.1.1', 'b', 'one.1'),
    started('one.2', 'a', 'one'),
    // Its parent is not in the part of the log that is kept.
    started('lost.1', 'a', 'lost'),
    { type: 'run.handed', run: 'one', from: 'lead', to: 'support' },
    { type: 'run.snapshot', run: 'two', next: 0, output: [], agent: 'other' },
  ]
  for (const [at, event] of events.entries()) timeline.add({ cursor: `e1.${at + 1}`, time: at, event })
  expect(nested(timeline.lanes.values()).map(({ lane, level }) => [lane.run, level, ...lane.agents])).toEqual([
    ['one', 0, 'lead', 'support'],
    ['one.1', 1, 'a'],
    ['one.1.1', 2, 'b'],
    ['one.2', 1, 'a'],
    ['two', 0, 'lead', 'other'],
    ['two.1', 1, 'a'],
    ['lost.1', 0, 'a'],
  ])
})
