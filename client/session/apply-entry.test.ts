// Tests that a client's final view does not depend on how the log arrived.
import type { Event, OutputPart, RunEnded, RunOutput } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GapError } from '../parley-error.ts'
import { applyEntry, startOver } from './apply-entry.ts'
import { withTurns } from './branch.ts'
import { newSession, type SessionView } from './session-view.ts'

// A log as a server stores it: a compaction replaces the earlier entries of its subject.
interface LogEntry {
  readonly seq: number
  readonly prev: number
  readonly subject: string
  readonly rollup: boolean
  readonly event: Event
}

type Step =
  | { readonly do: 'output'; readonly kind: 'text' | 'reasoning'; readonly text: string }
  | { readonly do: 'tool'; readonly reoffered: boolean; readonly fails: boolean; readonly streamed: number }
  | { readonly do: 'data'; readonly id: string | undefined }
  | { readonly do: 'source' }
  | { readonly do: 'snapshot' }
  | { readonly do: 'takeover'; readonly mode: 'continue' | 'restart' }
  | { readonly do: 'steer'; readonly taken: boolean }

interface RunPlan {
  readonly steps: readonly Step[]
  /** `none`: the run is still active at the end of the log. */
  readonly end: 'completed' | 'failed' | 'cancelled' | 'compacted' | 'none'
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('output' as const),
      kind: fc.constantFrom('text' as const, 'text' as const, 'reasoning' as const),
      text: fc.string({ maxLength: 4, unit: 'grapheme' }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('tool' as const),
      reoffered: fc.boolean(),
      fails: fc.boolean(),
      streamed: fc.nat({ max: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('data' as const), id: fc.constantFrom('a', 'b', undefined) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'source' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'snapshot' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('steer' as const), taken: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('takeover' as const),
      mode: fc.constantFrom('continue' as const, 'restart' as const),
    }),
  },
)
const plan: fc.Arbitrary<RunPlan> = fc.record({
  steps: fc.array(step, { maxLength: 20 }),
  end: fc.constantFrom('completed', 'failed', 'cancelled', 'compacted', 'none'),
})

class TestLog {
  readonly entries: LogEntry[] = []
  readonly #last = new Map<string, number>()

  append(subject: string, event: Event, rollup = false): void {
    // Sequence numbers are global in the store: those of a session grow, but not by one.
    const seq = (this.entries.at(-1)?.seq ?? 0) + 1 + (this.entries.length % 3)
    this.entries.push({ seq, prev: this.#last.get(subject) ?? 0, subject, rollup, event })
    this.#last.set(subject, seq)
  }

  /** The stored entries after the given number of appends. */
  stored(length: number): readonly LogEntry[] {
    const kept: LogEntry[] = []
    for (const entry of this.entries.slice(0, length)) {
      if (entry.rollup) {
        for (let i = kept.length - 1; i >= 0; i -= 1) if (kept[i]?.subject === entry.subject) kept.splice(i, 1)
      }
      kept.push(entry)
    }
    return kept
  }
}

function writeRun(log: TestLog, id: string, message: string, { steps, end }: RunPlan): void {
  let epoch = 1
  let next = 0
  let calls = 0
  let output: OutputPart[] = []
  const late: string[] = []
  const subject = `run.${id}`
  const usage = { inputTokens: 3, outputTokens: 5 }
  log.append(subject, { type: 'run.started', run: id, epoch, mode: 'new', model: 'demo', message, next })
  for (const step of steps) {
    if (step.do === 'output') {
      log.append(subject, { type: 'run.output', run: id, index: next, kind: step.kind, text: step.text })
      const last = output.at(-1)
      if (last?.type === step.kind) {
        output = [
          ...output.slice(0, -1),
          { ...last, text: last.text + step.text, lengths: [...last.lengths, step.text.length] },
        ]
      } else {
        output = [...output, { type: step.kind, text: step.text, index: next, lengths: [step.text.length] }]
      }
      next += 1
    } else if (step.do === 'data' || step.do === 'source') {
      const named = step.do === 'source' || step.id === undefined ? {} : { id: step.id }
      const at = { index: next, text: '', ...named }
      const about =
        step.do === 'data'
          ? {
              kind: 'data' as const,
              name: step.id === undefined && next % 2 === 1 ? 'agui-message' : 'chart',
              data: { next },
            }
          : { kind: 'source' as const, url: `https://example.com/${next}` }
      log.append(subject, { type: 'run.output', run: id, ...at, ...about })
      output = withExtra(output, { ...about, ...at, type: about.kind, lengths: [0] } as OutputPart)
      next += 1
    } else if (step.do === 'snapshot') {
      log.append(subject, { type: 'run.snapshot', run: id, epoch, model: 'demo', message, next, output }, true)
    } else if (step.do === 'steer') {
      const steering = `${id}-steer${log.entries.length}`
      writeMessage(log, steering, id, 'steer')
      if (step.taken) {
        output = [...output, { type: 'message', message: steering }]
        const said = { epoch, model: 'demo', message, next, output, changes: true as const }
        log.append(subject, { type: 'run.snapshot', run: id, ...said }, true)
      } else {
        late.push(steering)
      }
    } else if (step.do === 'takeover') {
      epoch += 1
      log.append(subject, { type: 'run.started', run: id, epoch, mode: step.mode, model: 'demo', message, next })
      if (step.mode === 'continue') continue
      // A restarted step keeps the steps before it.
      const end = output.findLastIndex((part) => part.type === 'tool' || part.type === 'message')
      output = output.filter((part, at) => at <= end || part.type === 'data')
      if (output.length === 0) continue
      const said = { epoch, model: 'demo', message, next, output, changes: true as const }
      log.append(subject, { type: 'run.snapshot', run: id, ...said }, true)
    } else {
      calls += 1
      const call = `${id}-call${calls}`
      const lengths: number[] = []
      for (let piece = 0; piece < step.streamed; piece += 1) {
        const name = piece === 0 ? { name: 'clock' } : {}
        log.append(subject, {
          type: 'run.output',
          run: id,
          index: next + piece,
          kind: 'input',
          call,
          ...name,
          text: '{}',
        })
        lengths.push(2)
      }
      const text = '{}'.repeat(step.streamed)
      if (step.streamed > 0) output = [...output, { type: 'input', call, name: 'clock', text, index: next, lengths }]
      next += step.streamed
      writeCall(log, id, call, step)
      output = [...output, { type: 'tool', call: `${id}-call${calls}`, name: 'clock' }]
    }
  }
  const base = { type: 'run.ended' as const, run: id, epoch, model: 'demo', message, usage, next }
  if (end === 'completed') log.append(subject, { ...base, reason: 'completed', output }, true)
  if (end === 'failed') {
    log.append(subject, { ...base, reason: 'failed', error: { code: 'provider_error', message: 'no' }, output }, true)
  }
  if (end === 'cancelled' || end === 'compacted') {
    const ended: RunEnded = { ...base, reason: 'cancelled', by: 'ann', seen: { run: id, index: next - 1 } }
    log.append(subject, ended)
    if (end === 'compacted') log.append(subject, { ...ended, output, compacted: true }, true)
  }
  if (end !== 'completed') return
  for (const steering of late) writeRun(log, `steer_${steering}`, steering, { steps: [SAYS], end: 'completed' })
}

/** Data replaces earlier data with its id, whose place remains. */
function withExtra(output: readonly OutputPart[], part: OutputPart): OutputPart[] {
  if (part.type !== 'data' || part.id === undefined) return [...output, part]
  const others = output.map((other) => {
    if (other.type !== 'data' || other.id !== part.id) return other
    const { data: _, ...place } = other
    return place
  })
  return [...others, part]
}

const SAYS: Step = { do: 'output', kind: 'text', text: 'late' }

function writeMessage(log: TestLog, id: string, run: string, policy: 'queue' | 'steer'): void {
  const content = [{ type: 'text' as const, text: `question ${id}` }]
  log.append(`in.${id}`, { type: 'message', id, role: 'user', author: 'ann', content, policy, run })
}

function writeCall(log: TestLog, run: string, call: string, step: Extract<Step, { do: 'tool' }>): void {
  const subject = `tool.${call}`
  const called = { type: 'tool.called' as const, run, call, name: 'clock', input: {}, where: 'client' as const }
  const terms = { approval: true, until: 9_000, step: 0 }
  log.append(subject, { ...called, ...terms, attempt: 1 })
  log.append(subject, { type: 'tool.decided', run, call, decision: 'approve', by: 'ann' })
  log.append(subject, { type: 'tool.claimed', run, call, connection: 'c1', until: 5_000 })
  if (step.reoffered) {
    log.append(subject, { ...called, ...terms, attempt: 2 })
    log.append(subject, { type: 'tool.claimed', run, call, connection: 'c2', until: 6_000 })
  }
  const outcome = step.fails ? { error: 'broken' } : { output: { now: 1 } }
  log.append(subject, { type: 'tool.result', run, call, ...outcome, by: 'c1' })
}

function writeLog(plans: readonly RunPlan[]): TestLog {
  const log = new TestLog()
  plans.forEach((plan, i) => {
    const message = `m${i}`
    writeMessage(log, message, `r${i}`, 'queue')
    // Only the last run may be unfinished, because runs take turns.
    const finished: RunPlan = plan.end === 'none' && i < plans.length - 1 ? { ...plan, end: 'completed' } : plan
    writeRun(log, `r${i}`, message, finished)
  })
  return log
}

/** The entries that a server sends to a reader at `after`, given the entries stored after `length` appends. */
function shown(log: TestLog, after: number, length: number, merge: boolean): LogEntry[] {
  const result: LogEntry[] = []
  for (const entry of log.stored(length)) {
    if (entry.seq <= after) continue
    const { event } = entry
    const changes = event.type === 'run.snapshot' && event.changes === true
    if (!entry.rollup || entry.prev > after || changes) result.push(entry)
    else if (event.type === 'run.ended' && event.compacted !== true) {
      const { output: _, ...rest } = event
      result.push({ ...entry, event: rest })
    }
  }
  return merge ? merged(result) : result
}

function merged(entries: readonly LogEntry[]): LogEntry[] {
  const result: LogEntry[] = []
  for (const entry of entries) {
    const last = result.at(-1)
    const a = last?.event
    const b = entry.event
    const isOne = a?.type === 'run.output' && b.type === 'run.output' && a.run === b.run && a.kind === b.kind
    if (isOne && ['text', 'reasoning', 'input'].includes(a.kind)) {
      const event: RunOutput = { ...a, text: a.text + b.text, count: (a.count ?? 1) + 1 }
      result[result.length - 1] = { ...entry, event }
    } else {
      result.push(entry)
    }
  }
  return result
}

function put(view: SessionView, entry: LogEntry): SessionView {
  return applyEntry(view, { cursor: `e.${entry.seq}`, time: entry.seq, event: entry.event })
}

/** Everything except the cursor. Readers that were spared an entry have an earlier one. */
function essence(view: SessionView): unknown {
  const { cursor: _, runs, calls, ...rest } = view
  return { ...rest, runs: [...runs.values()], calls: [...calls.values()] }
}

function live(log: TestLog): SessionView {
  let view = newSession('s')
  let after = 0
  for (const [i, entry] of log.entries.entries()) {
    for (const sent of shown(log, after, i + 1, false)) view = put(view, sent)
    after = entry.seq
  }
  return view
}

describe('session view', () => {
  it('is the same for every split of the log into replays, merges, snapshots, resumes and live entries', () => {
    const visit = fc.record({
      grows: fc.nat({ max: 12 }),
      merge: fc.boolean(),
      restarts: fc.constantFrom(...MOSTLY_FALSE),
    })
    fc.assert(
      fc.property(fc.array(plan, { minLength: 1, maxLength: 4 }), fc.array(visit), (plans, visits) => {
        const log = writeLog(plans)
        let view = newSession('s')
        let length = 0
        for (const { grows, merge, restarts } of [
          ...visits,
          { grows: log.entries.length, merge: true, restarts: false },
        ]) {
          length = Math.min(length + grows, log.entries.length)
          if (restarts) view = startOver(view)
          const after = view.cursor === undefined ? 0 : Number(view.cursor.slice(2))
          for (const entry of shown(log, after, length, merge)) view = put(view, entry)
        }
        expect(view.faults).toBe(0)
        expect(essence(view)).toEqual(essence(live(log)))
        // Each turn has the newest state of its run.
        expect(view.turns).toEqual(withTurns({ ...view, turns: [] }).turns)
        for (const { run } of view.turns) expect(run).toBe(view.runs.get(run?.id ?? ''))
      }),
      { numRuns: 500 },
    )
  })

  it('contains the text that the model generated, verified by its index', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 5 }), { maxLength: 30 }), (texts) => {
        const steps = texts.map((text) => ({ do: 'output' as const, kind: 'text' as const, text }))
        const view = live(writeLog([{ steps, end: 'completed' }]))
        const run = view.runs.get('r0')
        expect(run?.text).toBe(texts.join(''))
        expect(run?.next).toBe(texts.length)
      }),
    )
  })

  it('throws a GapError instead of showing a text with a hole', () => {
    fc.assert(
      fc.property(fc.array(plan, { minLength: 1, maxLength: 3 }), fc.nat(), (plans, at) => {
        const log = writeLog(plans)
        const outputs = log.entries.filter((entry) => entry.event.type === 'run.output')
        fc.pre(outputs.length > 0)
        const missing = outputs[at % outputs.length]
        let view = newSession('s')
        try {
          let after = 0
          for (const [i, entry] of log.entries.entries()) {
            for (const sent of shown(log, after, i + 1, false)) if (sent !== missing) view = put(view, sent)
            after = entry.seq
          }
        } catch (error) {
          expect(error).toBeInstanceOf(GapError)
          return
        }
        // No error: then it was the last output of an active run, or a restart dropped it.
        const dropped = missing !== undefined && 'run' in missing.event ? missing.event.run : ''
        const [partial, whole] = [view.runs.get(dropped), live(log).runs.get(dropped)]
        expect(whole?.text.startsWith(partial?.text ?? '')).toBe(true)
      }),
    )
  })

  it('ignores entries that it already contains', () => {
    const log = writeLog([{ steps: [{ do: 'output', kind: 'text', text: 'a' }], end: 'none' }])
    const view = live(log)
    for (const entry of log.entries) expect(put(view, entry)).toBe(view)
  })

  it('counts an output that a server repeats under a new cursor as a fault, and does not show it twice', () => {
    const view = live(writeLog([{ steps: [{ do: 'output', kind: 'text', text: 'a' }], end: 'none' }]))
    const event: Event = { type: 'run.output', run: 'r0', index: 0, kind: 'text', text: 'a' }
    const after = applyEntry(view, { cursor: 'e.9999', time: 1, event })
    expect(after.faults).toBe(1)
    expect(after.runs.get('r0')?.text).toBe('a')
  })

  it('refuses merged outputs that overlap with its own, because they cannot be split', () => {
    const view = live(writeLog([{ steps: [{ do: 'output', kind: 'text', text: 'a' }], end: 'none' }]))
    const event: Event = { type: 'run.output', run: 'r0', index: 0, kind: 'text', text: 'ab', count: 2 }
    expect(() => applyEntry(view, { cursor: 'e.9999', time: 1, event })).toThrow(GapError)
  })

  it('drops the unfinished text on a restart and continues the numbering', () => {
    const steps: Step[] = [
      { do: 'output', kind: 'text', text: 'wrong' },
      { do: 'takeover', mode: 'restart' },
      { do: 'output', kind: 'text', text: 'right' },
    ]
    const run = live(writeLog([{ steps, end: 'none' }])).runs.get('r0')
    expect(run?.text).toBe('right')
    expect(run?.next).toBe(2)
    expect(run?.epoch).toBe(2)
  })

  it('makes the interrupting run active as soon as its message arrives', () => {
    let view = live(writeLog([{ steps: [{ do: 'output', kind: 'text', text: 'a' }], end: 'none' }]))
    expect(view.activeRun).toBe('r0')
    const message: Event = {
      type: 'message',
      id: 'm9',
      role: 'user',
      author: 'ann',
      content: [{ type: 'text', text: 'stop, do this' }],
      policy: 'interrupt',
      run: 'r9',
    }
    view = applyEntry(view, { cursor: 'e.900', time: 1, event: message })
    expect(view.activeRun).toBe('r9')
    expect(view.open).toEqual(['r0', 'r9'])
    expect(view.runs.get('r0')?.supersededBy).toBe('m9')
  })

  it('shares unchanged parts', () => {
    const view = live(
      writeLog([
        { steps: [], end: 'completed' },
        { steps: [], end: 'none' },
      ]),
    )
    const event: Event = { type: 'run.output', run: 'r1', index: 0, kind: 'text', text: 'a' }
    const after = applyEntry(view, { cursor: 'e.900', time: 1, event })
    expect(after.messages).toBe(view.messages)
    expect(after.calls).toBe(view.calls)
    expect(after.runs.get('r0')).toBe(view.runs.get('r0'))
    expect(view.runs.get('r1')?.text).toBe('')
    expect(after.turns[0]).toBe(view.turns[0])
    expect(after.turns[1]?.run?.text).toBe('a')
  })

  it('ignores a call of a driver that had already been replaced', () => {
    const call = {
      run: 'r0',
      name: 'clock',
      input: {},
      where: 'client' as const,
      approval: false,
      attempt: 1,
      until: 1,
    }
    const called = (id: string, epoch: number): Event => ({ type: 'tool.called', ...call, call: id, step: 0, epoch })
    const started = { type: 'run.started', run: 'r0', mode: 'continue', model: 'm', message: 'm0', next: 0 } as const
    const events: Event[] = [called('early', 1), { ...started, epoch: 2 }, called('late', 1), called('own', 2)]
    let view = live(writeLog([{ steps: [], end: 'none' }]))
    events.forEach((event, at) => {
      view = applyEntry(view, { cursor: `e.${900 + at}`, time: 1, event })
    })
    expect([...view.calls.keys()]).toEqual(['early', 'own'])
    expect(view.runs.get('r0')?.parts.map((part) => part.type === 'tool' && part.call)).toEqual(['early', 'own'])
  })

  it('reports a run as waiting while a client must answer, and drops its calls when it ends', () => {
    const called: Event = {
      type: 'tool.called',
      run: 'r0',
      call: 'c',
      name: 'clock',
      input: {},
      where: 'client',
      approval: false,
      attempt: 1,
      until: 1,
      step: 0,
    }
    let view = live(writeLog([{ steps: [], end: 'none' }]))
    view = applyEntry(view, { cursor: 'e.900', time: 1, event: called })
    expect(view.runs.get('r0')?.status).toBe('waiting')
    expect(view.calls.get('c')?.status).toBe('offered')
    const usage = { inputTokens: 0, outputTokens: 0 }
    const ended: Event = { type: 'run.ended', run: 'r0', reason: 'cancelled', usage, next: 0 }
    view = applyEntry(view, { cursor: 'e.901', time: 1, event: ended })
    expect(view.calls.get('c')?.status).toBe('dropped')
    expect(view.activeRun).toBeUndefined()
  })
})

/** Replays from the beginning are rare. */
const MOSTLY_FALSE = [false, false, false, false, true]
