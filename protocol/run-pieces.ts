// RunPieces: the entries of one run as pieces that open, grow and close, for transports and front ends that show a run as texts and
// tool calls.
//
//   opened ──► grew* ──► closed     text, reasoning: adjacent outputs of one kind
//                                   input, output: the arguments and the result of a tool call
//   opened ────────────► closed     child: another agent works for a call, between its input and its output
//   data, source, file, progress    happen between them, and close nothing
//
// A piece opens once, grows only while it is open, and closes once, at the latest before `restarted` or `ended`. The pieces since
// the last `restarted` are the run's output in its order, in whatever form the reader gets the entries: live, merged,
// compacted, or from a transcript. Pure.
import type { Event, RunEnded, RunOutput, RunSnapshot, ToolCalled, ToolResult } from './event.ts'
import type { NumberedPart, OutputPart } from './part.ts'
import { isHidden } from './pieces/hidden-data.ts'
import type { Data, PieceChange, TextKind } from './pieces/piece-change.ts'
import { textGap } from './well-formed.ts'

export type { Data, PieceChange, TextKind }

interface Call {
  /** Its place is known: the whole input can be shown. */
  isPlaced?: true
  called?: ToolCalled
  result?: ToolResult
  /** The id of its input while that piece is open. */
  input?: number | undefined
  /** The id of its child run while that piece is open. */
  child?: number | undefined
}

/** Outputs from an index up to, but without, another. */
interface Range {
  readonly from: number
  end: number
}

const NONE: readonly PieceChange[] = []

export class RunPieces {
  readonly #run: string
  readonly #calls = new Map<string, Call>()
  /** Calls whose earlier output the reader lacks: it follows in a compacted form, which shows their place. */
  readonly #held = new Set<string>()
  /** The calls and steering messages since the last restart, each with the value of `#shown` at its place. */
  readonly #places = new Map<string, number>()
  #changes: PieceChange[] = []
  #phase: 'waiting' | 'started' | 'ended' = 'waiting'
  /** The number of the run's attempt; 0 if unknown. */
  #epoch = 0
  /** The number of pieces so far. */
  #count = 0
  #open: { readonly id: number; readonly kind: TextKind } | undefined
  /** The outputs that were shown since the last restart, from an index up to another. Between them, output was dropped. */
  #ranges: Range[] = []
  /** The index up to which the reader has read. It includes dropped outputs. */
  #read = 0
  /** The last character of the text so far. */
  #last = ''
  /** A call or a steering message came after it. */
  #isApart = false

  constructor(run: string) {
    this.#run = run
  }

  /** @param event any event of the session, in the order of the log: from the run's message on, or after a cursor */
  take(event: Event): readonly PieceChange[] {
    if (this.#phase === 'ended' || !('run' in event) || event.run !== this.#run) return NONE
    switch (event.type) {
      case 'run.output':
        this.#start()
        this.#reach(event.index)
        this.#output(event)
        this.#read = event.index + (event.count ?? 1)
        break
      case 'run.started':
        this.#start()
        if (event.mode === 'restart') this.#restart()
        this.#epoch = event.epoch
        this.#reach(event.next)
        break
      case 'run.snapshot':
        this.#start()
        this.#replace(event, event.output)
        break
      case 'run.ended':
        this.#start()
        if (event.output === undefined) this.#reach(event.next)
        else this.#replace(event, event.output)
        this.#closeAll()
        this.#changes.push({ type: 'ended', end: event })
        this.#phase = 'ended'
        break
      case 'tool.called':
        this.#called(event)
        break
      case 'tool.result':
        this.#answered(event)
        break
      case 'tool.progress': {
        const call = this.#calls.get(event.call)
        const isRunning = call?.isPlaced === true && call.called !== undefined && call.result === undefined
        if (isRunning) this.#changes.push({ type: 'progress', progress: event })
      }
    }
    const changes = this.#changes
    if (changes.length === 0) return NONE
    this.#changes = []
    return changes
  }

  /** The reader gets the session again from its beginning, as after `reset`. */
  reset(): void {
    if (this.#phase === 'ended') return
    this.#restart()
    this.#calls.clear()
    this.#held.clear()
    this.#epoch = 0
    this.#read = 0
  }

  #start(): void {
    if (this.#phase !== 'waiting') return
    this.#phase = 'started'
    this.#changes.push({ type: 'started' })
  }

  /** The index after the last output that was shown since the last restart. */
  get #shown(): number {
    return this.#ranges.at(-1)?.end ?? 0
  }

  #show(from: number, end: number): void {
    const last = this.#ranges.at(-1)
    if (last?.end === from) last.end = end
    else this.#ranges.push({ from, end })
  }

  #restart(): void {
    if (this.#shown === 0 && this.#places.size === 0) return
    this.#closeAll()
    for (const call of this.#calls.values()) delete call.isPlaced
    this.#places.clear()
    this.#ranges = []
    this.#last = ''
    this.#isApart = false
    this.#changes.push({ type: 'restarted' })
  }

  /** Shows what the reader lacks of the whole output so far. */
  #replace({ epoch = this.#epoch, next }: RunSnapshot | RunEnded, output: readonly OutputPart[]): void {
    if (!this.#isIn(output)) this.#restart()
    for (const id of this.#held) if (isLate(this.#calls.get(id)?.called, epoch)) this.#held.delete(id)
    this.#epoch = epoch
    this.#last = ''
    this.#isApart = false
    const data = new Map(output.flatMap((part) => (part.type === 'data' && 'data' in part ? [[part.id, part]] : [])))
    for (const part of output) {
      if (part.type === 'tool') this.#place(part.call, part.name)
      else if (part.type === 'message') this.#steer(part.message)
      else if (part.type === 'data') this.#dataAt(part, data)
      else this.#outputs(part)
    }
    this.#reach(next)
  }

  /** The reader has everything before this index. */
  #reach(index: number): void {
    this.#read = index
    for (const id of this.#held) if ((this.#calls.get(id)?.called?.next ?? 0) <= index) this.#place(id)
  }

  /** Whether the output begins with what was shown. It does not if the reader missed a restart, or showed a call too early. */
  #isIn(output: readonly OutputPart[]): boolean {
    const places = [...this.#places]
    const streamed = new Set<string>()
    let found = 0
    let covered = 0
    let begin = 0
    let end = 0
    for (const part of output) {
      let first = end
      if ('lengths' in part) {
        first = part.index
        if (first !== end) begin = first
        end = first + part.lengths.length
        while (isBetween(this.#ranges[covered], begin, end)) covered += 1
      }
      const id = placeOf(part)
      if (id === undefined || streamed.has(id)) continue
      if (part.type === 'input') streamed.add(id)
      if (found === places.length) continue
      const [shown, at = -1] = places[found] ?? []
      if (shown !== id || at < first || at > end) return false
      found += 1
    }
    return covered === this.#ranges.length && found === places.length
  }

  #outputs(part: NumberedPart): void {
    let at = 0
    for (const [offset, length] of part.lengths.entries()) {
      const { type: kind, lengths: _, unseen: __, ...fields } = part
      const text = part.text.slice(at, at + length)
      const index = part.index + offset
      this.#output({ type: 'run.output', run: this.#run, ...fields, kind, index, text } as RunOutput)
      at += length
    }
  }

  #output(output: RunOutput): void {
    const { index, count = 1 } = output
    switch (output.kind) {
      case 'text':
      case 'reasoning':
        return this.#text(output.kind, index, output.text, count)
      case 'input':
        return this.#input(output, count)
      case 'data':
      case 'source':
      case 'file': {
        if (index < this.#shown) return
        this.#show(index, index + count)
        if (output.kind === 'data' && isHidden(output)) return this.#hide(index, index + count)
        const { kind, text: _, count: __, type: ___, run: ____, ...fields } = output
        this.#changes.push({ type: kind, ...fields } as PieceChange)
      }
    }
  }

  #text(kind: TextKind, index: number, text: string, count: number): void {
    let gap: '' | '\n\n' = ''
    if (kind === 'text' && text !== '') {
      if (this.#isApart) gap = textGap(this.#last, text)
      this.#last = text.slice(-1)
      this.#isApart = false
    }
    if (index < this.#shown) return
    this.#show(index, index + count)
    if (this.#open?.kind !== kind) {
      this.#closeText()
      this.#open = { id: this.#newId(), kind }
      this.#changes.push({ type: 'opened', id: this.#open.id, kind })
    }
    this.#changes.push({ type: 'grew', id: this.#open.id, kind, index, text, gap })
  }

  #input({ call, name, index, text }: Extract<RunOutput, { kind: 'input' }>, count: number): void {
    if (index < this.#shown) return
    const { input } = this.#opened(call, name)
    this.#show(index, index + count)
    if (input !== undefined) this.#changes.push({ type: 'grew', id: input, kind: 'input', call, index, text })
  }

  /** Shows the newest data of an id, once, at its first place that the reader lacks. */
  #dataAt(part: Extract<OutputPart, { type: 'data' }>, newest: Map<string | undefined, typeof part>): void {
    const end = part.index + part.lengths.length
    if (end <= this.#shown) return
    const { name, data } = part.id === undefined ? part : (newest.get(part.id) ?? { name: '', data: undefined })
    const index = Math.max(this.#shown, part.index)
    this.#show(index, end)
    if (isHidden({ name })) return this.#hide(index, end)
    if (name !== '') {
      if (part.id !== undefined) newest.delete(part.id)
      this.#changes.push({ type: 'data', index, name, ...(part.id === undefined ? {} : { id: part.id }), data })
    }
    this.#changes.push({ type: 'passed', index, next: end })
  }

  /** The text that follows is another piece. */
  #hide(index: number, next: number): void {
    this.#closeText()
    this.#changes.push({ type: 'passed', index, next })
  }

  #steer(message: string): void {
    this.#isApart = true
    if (this.#places.has(message)) return
    this.#closeText()
    this.#places.set(message, this.#shown)
    this.#changes.push({ type: 'steered', message })
  }

  #called(event: ToolCalled): void {
    const call = this.#calls.get(event.call) ?? {}
    this.#calls.set(event.call, call)
    // It is repeated when a claimant was lost.
    if (call.called !== undefined) return
    call.called = event
    if (call.isPlaced === true) this.#closeInput(event.call, call)
    else if (!isLate(event, this.#epoch)) {
      this.#held.add(event.call)
      // Before the run's first entry it is unknown whether earlier ones were compacted.
      if (this.#phase !== 'waiting') this.#reach(this.#read)
    }
  }

  #answered(event: ToolResult): void {
    const call = this.#calls.get(event.call)
    if (call?.called === undefined || call.result !== undefined) return
    call.result = event
    if (call.isPlaced === true) this.#result(call, event)
  }

  /** Shows the whole call, or that it was made. @param name only for a call whose `tool.called` may follow */
  #place(id: string, name?: string): void {
    this.#isApart = true
    this.#held.delete(id)
    const call = this.#opened(id, name)
    call.isPlaced = true
    if (call.called !== undefined) this.#closeInput(id, call)
  }

  /** The call, with its input opened. */
  #opened(id: string, name?: string): Call {
    const call = this.#calls.get(id) ?? {}
    this.#calls.set(id, call)
    if (this.#places.has(id)) return call
    this.#closeText()
    this.#places.set(id, this.#shown)
    call.input = this.#newId()
    const known = call.called?.name ?? name ?? ''
    this.#changes.push({ type: 'opened', id: call.input, kind: 'input', call: id, name: known })
    return call
  }

  #closeInput(id: string, call: Call): void {
    const { input, called, result } = call
    if (input === undefined) return
    call.input = undefined
    const whole = called === undefined ? {} : { called }
    this.#changes.push({ type: 'closed', id: input, kind: 'input', call: id, ...whole })
    if (called?.child !== undefined) {
      call.child = this.#newId()
      this.#changes.push({ type: 'opened', id: call.child, kind: 'child', call: id, ...called.child })
    }
    if (result !== undefined) this.#result(call, result)
  }

  #closeChild(call: Call): void {
    const { child: id, called } = call
    call.child = undefined
    if (id === undefined || called?.child === undefined) return
    this.#changes.push({ type: 'closed', id, kind: 'child', call: called.call, ...called.child })
  }

  #result(call: Call, result: ToolResult): void {
    this.#closeChild(call)
    const piece = { id: this.#newId(), kind: 'output', call: result.call } as const
    this.#changes.push({ type: 'opened', ...piece }, { type: 'closed', ...piece, result })
  }

  #closeText(): void {
    if (this.#open === undefined) return
    this.#changes.push({ type: 'closed', ...this.#open })
    this.#open = undefined
  }

  #closeAll(): void {
    this.#closeText()
    for (const [id, call] of this.#calls) {
      this.#closeInput(id, call)
      this.#closeChild(call)
    }
  }

  #newId(): number {
    this.#count += 1
    return this.#count
  }
}

/** The call or the steering message that the part gives a place. */
function placeOf(part: OutputPart): string | undefined {
  if (part.type === 'tool' || part.type === 'input') return part.call
  return part.type === 'message' ? part.message : undefined
}

function isBetween(range: Range | undefined, begin: number, end: number): boolean {
  return range !== undefined && begin <= range.from && range.end <= end
}

/** Whether a replaced driver made the call. Such a call counts only if the run's output names it. */
function isLate(called: ToolCalled | undefined, epoch: number): boolean {
  return (called?.epoch ?? Number.POSITIVE_INFINITY) < epoch
}
