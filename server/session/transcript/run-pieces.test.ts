// The pieces of runs (protocol/run-pieces.ts), from logs with any history, for readers that get them in any form: live, merged,
// compacted, from a transcript, from a cursor. Every reader's pieces are well-formed, and the same as the server's state.
import type { Event, OutputPart, ToolCalled, ToolResult } from '@parley/protocol'
import { isHidden } from '@parley/protocol/pieces/hidden-data'
import { type PieceChange, RunPieces, type TextKind } from '@parley/protocol/run-pieces'
import { textGap } from '@parley/protocol/well-formed'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyEntries } from '../state/apply-entry.ts'
import type { CallState } from '../state/call-state.ts'
import { toParts } from '../state/run-output.ts'
import type { RunRecord } from '../state/run-record.ts'
import { EMPTY_SESSION, findRun, type SessionState } from '../state/session-state.ts'
import { ScriptedLog, STEP_KINDS, type Step } from '../test/scripted-log.ts'
import { compact } from './compact.ts'
import { mergeOutputs, type ProjectedEntry, projectLive } from './entry-projection.ts'

const kinds = fc.constantFrom(
  ...STEP_KINDS,
  'output',
  'output',
  'output',
  'input',
  'input',
  'data',
  'call',
  'result',
  'snapshot',
)
const steps = fc.array(fc.record({ kind: kinds, pick: fc.nat(50) }), { maxLength: 60 }) as fc.Arbitrary<Step[]>

function scripted(script: readonly Step[], isOld: boolean): ScriptedLog {
  const log = new ScriptedLog(isOld)
  for (const step of script) log.apply(step)
  return log
}

/** One text, call or message of a run. */
type Shown =
  | { readonly kind: TextKind; text: string }
  | {
      readonly kind: 'call'
      readonly call: string
      name: string
      text: string
      called?: ToolCalled
      result?: ToolResult
      /** Each opening and closing of its child run. */
      child?: readonly (string | undefined)[]
    }
  | { readonly kind: 'data'; readonly id: string | undefined; data: unknown }
  | { readonly kind: 'link'; readonly url: string | undefined }
  | { readonly kind: 'message'; readonly message: string }

/** Applies the changes as a front end does, and throws if they are not well-formed. */
class FrontEnd {
  shown: Shown[] = []
  /** All texts as one. */
  text = ''
  restarts = 0
  readonly #pieces: RunPieces
  readonly #open = new Map<number, Shown>()
  #lastId = 0
  #isStarted = false
  #isEnded = false

  constructor(run: string) {
    this.#pieces = new RunPieces(run)
  }

  reset(): void {
    this.#pieces.reset()
  }

  take(event: Event): void {
    for (const change of this.#pieces.take(event)) this.#change(change)
  }

  #change(change: PieceChange): void {
    if (this.#isEnded) throw new Error('a change after the end')
    if (this.#isStarted === (change.type === 'started')) throw new Error('`started` is not the first change')
    this.#isStarted = true
    switch (change.type) {
      case 'opened':
        if (change.id <= this.#lastId) throw new Error('an id is used twice')
        this.#lastId = change.id
        this.#open.set(change.id, this.#opened(change))
        break
      case 'grew': {
        const piece = this.#open.get(change.id)
        const kind = piece?.kind === 'call' ? 'input' : piece?.kind
        if (piece === undefined || !('text' in piece) || kind !== change.kind)
          throw new Error('a piece grew that is not open')
        piece.text += change.text
        if (change.kind === 'text') this.text += change.gap + change.text
        break
      }
      case 'closed': {
        const piece = this.#open.get(change.id)
        if (piece === undefined) throw new Error('a piece closed that is not open')
        this.#open.delete(change.id)
        if (piece.kind !== 'call') break
        if (change.kind === 'input' && change.called !== undefined) piece.called = change.called
        if (change.kind === 'child') piece.child = [...(piece.child ?? []), change.run, change.agent]
        if (change.kind === 'output') piece.result = change.result
        break
      }
      case 'data': {
        const held = this.shown.find((shown) => shown.kind === 'data' && shown.id === change.id)
        if (held?.kind === 'data' && change.id !== undefined) held.data = change.data
        else this.shown.push({ kind: 'data', id: change.id, data: change.data })
        break
      }
      case 'source':
      case 'file':
        this.shown.push({ kind: 'link', url: change.url })
        break
      case 'steered':
        this.shown.push({ kind: 'message', message: change.message })
        break
      case 'restarted':
        if (this.#open.size > 0) throw new Error('a piece is open at a restart')
        this.shown = []
        this.text = ''
        this.restarts += 1
        break
      case 'ended':
        if (this.#open.size > 0) throw new Error('a piece is open at the end')
        this.#isEnded = true
    }
  }

  #opened(change: Extract<PieceChange, { type: 'opened' }>): Shown {
    if (change.kind === 'output' || change.kind === 'child') {
      const call = this.shown.find((shown) => shown.kind === 'call' && shown.call === change.call)
      if (call?.kind !== 'call' || call.called === undefined) throw new Error('an output without its input')
      const isOpen = [...this.#open.values()].includes(call)
      if (isOpen) throw new Error('two pieces of one call are open')
      if (change.kind === 'child' && call.result !== undefined) throw new Error('a child run after the result')
      if (change.kind === 'child') call.child = [change.run, change.agent]
      return call
    }
    const shown: Shown =
      change.kind === 'input'
        ? { kind: 'call', call: change.call, name: change.name, text: '' }
        : { kind: change.kind, text: '' }
    const hasText = [...this.#open.values()].some(({ kind }) => kind === 'text' || kind === 'reasoning')
    if (hasText) throw new Error('a text is still open')
    this.shown.push(shown)
    return shown
  }
}

/** What the server's state holds of a call. Its child run is open until its result or the run's end. */
function callIn(record: RunRecord | undefined, call: CallState | undefined): object {
  const who = call?.child === undefined ? undefined : [call.child.run, call.child.agent]
  const isClosed = call?.result !== undefined || record?.phase === 'ended'
  return { input: call?.input, result: call?.result, child: isClosed && who ? [...who, ...who] : who }
}

/** What the server's state holds of a run. */
function expected(record: RunRecord | undefined): unknown {
  const shown: Record<string, unknown>[] = []
  let text = ''
  let isApart = false
  /** The next text is another message of a remote agent. */
  let isNext = false
  const find = (key: string, value: unknown) => shown.find((piece) => piece[key] === value)
  for (const part of toParts(record?.output)) {
    switch (part.type) {
      case 'text':
      case 'reasoning': {
        const last = shown.findLast((piece) => piece.kind !== 'data' && piece.kind !== 'link')
        if (last?.kind === part.type && !isNext) last.text += part.text
        else shown.push({ kind: part.type, text: part.text })
        isNext = false
        if (part.type === 'reasoning') break
        text += (isApart ? textGap(text, part.text) : '') + part.text
        isApart = false
        break
      }
      case 'input':
      case 'tool': {
        const call = record?.calls.get(part.call)
        const input = part.type === 'input' ? part.text : ''
        const held = find('call', part.call)
        if (held === undefined) shown.push({ kind: 'call', call: part.call, text: input, ...callIn(record, call) })
        else held.text += input
        if (part.type === 'tool') isApart = true
        break
      }
      case 'data': {
        if (isHidden(part)) {
          isNext = true
          break
        }
        const held = part.id === undefined ? undefined : find('id', part.id)
        if (held === undefined) shown.push({ kind: 'data', id: part.id, data: part.data })
        else held.data = part.data ?? held.data
        break
      }
      case 'message':
        shown.push({ kind: 'message', message: part.message })
        isApart = true
        break
      default:
        shown.push({ kind: 'link', url: part.url })
    }
  }
  return { shown, text }
}

function actual({ shown, text }: FrontEnd): unknown {
  const seen = shown.map((piece) =>
    piece.kind === 'call'
      ? {
          kind: 'call',
          call: piece.call,
          text: piece.text,
          input: piece.called?.input,
          result: piece.result,
          child: piece.child,
        }
      : piece,
  )
  return { shown: seen, text }
}

/** Front ends of all runs of a session. */
class Reader {
  readonly all = new Map<string, FrontEnd>()

  /** The restarts of the conversation's own runs: children restart in any history. */
  get restarts(): number {
    return [...this.all].reduce((sum, [run, { restarts }]) => sum + (run.startsWith('child_') ? 0 : restarts), 0)
  }

  take(entries: readonly ProjectedEntry[]): void {
    for (const { json } of entries) {
      const event = JSON.parse(json) as Event
      if ('run' in event && event.type !== 'message' && !this.all.has(event.run)) {
        this.all.set(event.run, new FrontEnd(event.run))
      }
      for (const frontEnd of this.all.values()) frontEnd.take(event)
    }
  }

  mustEqual(state: SessionState): void {
    for (const [run, frontEnd] of this.all) {
      const record = findRun(state, run)
      // Between a restart and its snapshot, the server still has what readers have dropped.
      if (record?.unreturned !== true) expect(actual(frontEnd)).toEqual(expected(record))
    }
    for (const run of state.ended.keys()) expect(this.all.has(run)).toBe(true)
  }
}

/** Steps after which a reader may have shown something that does not count, or a call before an earlier steering message. */
const UNSURE: readonly Step['kind'][] = ['restart', 'continue', 'late', 'steer']
const history = fc.record({ script: steps, isCalm: fc.boolean(), isOld: fc.boolean() }).map((given) => {
  const isCalm = given.isCalm && !given.isOld
  const script = isCalm ? given.script.filter(({ kind }) => !UNSURE.includes(kind)) : given.script
  return { log: scripted(script, given.isOld), isCalm }
})

const END = Number.MAX_SAFE_INTEGER
const seqAt = (log: ScriptedLog, at: number): number => (log.entries[at] ?? log.entries.at(-1))?.seq ?? 0
const ascending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b)
const stateAt = (log: ScriptedLog, seq: number): SessionState => {
  return applyEntries(
    EMPTY_SESSION,
    log.entries.filter((entry) => entry.seq <= seq),
  )
}

const CALLED: ToolCalled = {
  type: 'tool.called',
  run: 'r',
  call: 'c',
  name: 't',
  input: {},
  where: 'client',
  approval: false,
  attempt: 1,
  until: 0,
  step: 0,
  next: 0,
  epoch: 1,
}

describe('the pieces of a run', () => {
  it('are the run’s output at any time, for readers that are live, fall behind and catch up', () => {
    fc.assert(
      fc.property(history, fc.array(fc.nat(80), { maxLength: 6 }), fc.boolean(), ({ log, isCalm }, stops, merges) => {
        const reader = new Reader()
        let position = 0
        for (const [turn, stop] of ascending([...stops, 80]).entries()) {
          // By turns it catches up with what compaction has left, and reads live.
          const head = seqAt(log, stop)
          const read = log.read(position, head)
          if (turn % 2 === 0) reader.take(merges ? mergeOutputs(read) : read)
          for (const entry of turn % 2 === 0 ? [] : log.entries) {
            if (entry.seq <= position || entry.seq > head) continue
            reader.take(projectLive([entry]))
            reader.mustEqual(stateAt(log, entry.seq))
          }
          position = head
          reader.mustEqual(stateAt(log, position))
        }
        if (isCalm) expect(reader.restarts).toBe(0)
      }),
      { numRuns: 400 },
    )
  })

  it('are the run’s output from a transcript and the tail, also if earlier entries were read before', () => {
    fc.assert(
      fc.property(history, fc.tuple(fc.nat(80), fc.nat(80), fc.nat(80)), ({ log, isCalm }, stops) => {
        const [before = 0, one = 0, two = 0] = ascending(stops.map((stop) => seqAt(log, stop)))
        const transcript = compact(compact([], log.read(0, one)), log.read(one, two))
        const reader = new Reader()
        reader.take(transcript)
        reader.take(log.read(two, END))
        reader.mustEqual(log.state)
        if (isCalm) expect(reader.restarts).toBe(0)
        // The log was trimmed while this one read it.
        const reset = new Reader()
        reset.take(log.read(0, before))
        for (const frontEnd of reset.all.values()) frontEnd.reset()
        reset.take(transcript)
        reset.take(log.read(two, END))
        reset.mustEqual(log.state)
      }),
      { numRuns: 400 },
    )
  })

  it.each<[string, Event, OutputPart[]]>([
    [
      'text before data that is kept',
      { type: 'run.output', run: 'r', index: 0, kind: 'text', text: 'dropped' },
      [{ type: 'data', index: 1, text: '', lengths: [0], name: 'chart', id: 'd', data: 1 }],
    ],
    [
      'nothing before a call',
      CALLED,
      [
        { type: 'message', message: 'm_2' },
        { type: 'tool', call: 'c', name: 't' },
      ],
    ],
    [
      'no earlier call',
      CALLED,
      [
        { type: 'tool', call: 'b', name: 't' },
        { type: 'tool', call: 'c', name: 't' },
      ],
    ],
  ])('follow again if the reader has shown %s', (_, shown, output) => {
    const about = { run: 'r', model: 'm', message: 'm_1', next: 0 }
    const frontEnd = new FrontEnd('r')
    frontEnd.take({ type: 'run.started', ...about, epoch: 1, mode: 'new' })
    frontEnd.take(shown)
    const data = { index: 1, kind: 'data', text: '', name: 'chart', id: 'd', data: 1 } as const
    if (shown.type === 'run.output') frontEnd.take({ type: 'run.output', run: 'r', ...data })
    frontEnd.take({ type: 'run.snapshot', ...about, epoch: 1, output, next: 2 })
    expect(frontEnd.restarts).toBe(1)
    expect(frontEnd.shown).toHaveLength(output.length)
  })

  it('are well-formed for a reader that starts after any entry', () => {
    fc.assert(
      fc.property(history, fc.nat(80), ({ log }, from) => {
        new Reader().take(log.read(seqAt(log, from), END))
        new Reader().take(log.entries.slice(from).flatMap((entry) => [...projectLive([entry])]))
      }),
    )
  })
})
