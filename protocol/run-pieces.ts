// RunPieces: the entries of one run as pieces that open, grow and close, for transports and front ends that show a run as texts and
// tool calls.
//
//   opened ──► grew* ──► closed     text, reasoning: adjacent outputs of one kind
//                                   input, output: the arguments and the result of a tool call
//
// A piece opens once, grows only while it is open, and closes once, at the latest before `restarted` or `ended`. The pieces since
// the last `restarted` are the run's output in its order, in whatever form the reader gets the entries: live, merged,
// compacted, or from a transcript. Pure.
import type { Event, RunEnded, RunSnapshot, ToolCalled, ToolResult } from './event.ts'
import type { OutputPart } from './part.ts'
import { textGap } from './well-formed.ts'

export type TextKind = 'text' | 'reasoning'

/** `id` is unique among the pieces of one reader. */
export type PieceChange =
  /** The first change of every run. */
  | { readonly type: 'started' }
  | { readonly type: 'opened'; readonly id: number; readonly kind: TextKind }
  | {
      readonly type: 'opened'
      readonly id: number
      readonly kind: 'input'
      readonly call: string
      readonly name: string
    }
  | { readonly type: 'opened'; readonly id: number; readonly kind: 'output'; readonly call: string }
  | {
      readonly type: 'grew'
      readonly id: number
      readonly kind: TextKind
      /** The index of the (first) output. */
      readonly index: number
      readonly text: string
      /** What separates it from the text before, for readers that show all texts as one. */
      readonly gap: '' | '\n\n'
    }
  | { readonly type: 'closed'; readonly id: number; readonly kind: TextKind }
  /** Without `called` the run restarted or ended before the reader got the whole call. */
  | {
      readonly type: 'closed'
      readonly id: number
      readonly kind: 'input'
      readonly call: string
      readonly called?: ToolCalled
    }
  | {
      readonly type: 'closed'
      readonly id: number
      readonly kind: 'output'
      readonly call: string
      readonly result: ToolResult
    }
  /** The run took a steering message here. */
  | { readonly type: 'steered'; readonly message: string }
  /** Unfinished output was dropped: no earlier piece counts. All remaining output follows again as new pieces. */
  | { readonly type: 'restarted' }
  /** The last change. */
  | { readonly type: 'ended'; readonly end: RunEnded }

interface Call {
  called?: ToolCalled
  result?: ToolResult
  /** The id of its input while that piece is open. */
  input?: number | undefined
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
  /** The index after the last output that was shown since the last restart. */
  #shown = 0
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
      case 'run.output': {
        const { kind, index, text, count = 1 } = event
        this.#start()
        this.#reach(index)
        this.#output(kind, index, text, count)
        this.#read = index + count
        break
      }
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

  #restart(): void {
    if (this.#shown === 0 && this.#places.size === 0) return
    this.#closeAll()
    this.#places.clear()
    this.#shown = 0
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
    for (const part of output) {
      if (part.type === 'tool') this.#place(part.call, part.name)
      else if (part.type === 'message') this.#steer(part.message)
      else this.#outputs(part)
    }
    this.#reach(next)
  }

  /** The reader has everything before this index. */
  #reach(index: number): void {
    this.#read = index
    for (const id of this.#held) if ((this.#calls.get(id)?.called?.next ?? 0) <= index) this.#place(id)
  }

  /** Whether the output has what was shown, in that order. It has not if the reader missed a restart, or showed a call too early. */
  #isIn(output: readonly OutputPart[]): boolean {
    const places = [...this.#places]
    let found = 0
    let hasLast = this.#shown === 0
    let end = 0
    for (const part of output) {
      if (part.type === 'text' || part.type === 'reasoning') {
        end = part.index + part.lengths.length
        hasLast ||= part.index < this.#shown && this.#shown <= end
        continue
      }
      const [id, at] = places[found] ?? []
      if (id === (part.type === 'tool' ? part.call : part.message) && at === end) found += 1
    }
    return hasLast && found === places.length
  }

  #outputs({ type, index, text, lengths }: Extract<OutputPart, { type: TextKind }>): void {
    let at = 0
    for (const [offset, length] of lengths.entries()) {
      this.#output(type, index + offset, text.slice(at, at + length), 1)
      at += length
    }
  }

  #output(kind: TextKind, index: number, text: string, count: number): void {
    let gap: '' | '\n\n' = ''
    if (kind === 'text' && text !== '') {
      if (this.#isApart) gap = textGap(this.#last, text)
      this.#last = text.slice(-1)
      this.#isApart = false
    }
    if (index < this.#shown) return
    this.#shown = index + count
    if (this.#open?.kind !== kind) {
      this.#closeText()
      this.#open = { id: this.#newId(), kind }
      this.#changes.push({ type: 'opened', id: this.#open.id, kind })
    }
    this.#changes.push({ type: 'grew', id: this.#open.id, kind, index, text, gap })
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
    if (call.input !== undefined) this.#closeInput(event.call, call)
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
    if (this.#places.has(event.call)) this.#result(event)
  }

  /** Shows the call, if it is not shown. @param name only for a call whose `tool.called` may follow */
  #place(id: string, name?: string): void {
    this.#isApart = true
    this.#held.delete(id)
    if (this.#places.has(id)) return
    this.#closeText()
    const call = this.#calls.get(id) ?? {}
    this.#calls.set(id, call)
    this.#places.set(id, this.#shown)
    call.input = this.#newId()
    this.#changes.push({
      type: 'opened',
      id: call.input,
      kind: 'input',
      call: id,
      name: call.called?.name ?? name ?? '',
    })
    if (call.called !== undefined) this.#closeInput(id, call)
  }

  #closeInput(id: string, call: Call): void {
    const { input, called, result } = call
    if (input === undefined) return
    call.input = undefined
    const whole = called === undefined ? {} : { called }
    this.#changes.push({ type: 'closed', id: input, kind: 'input', call: id, ...whole })
    if (result !== undefined) this.#result(result)
  }

  #result(result: ToolResult): void {
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
    for (const [id, call] of this.#calls) this.#closeInput(id, call)
  }

  #newId(): number {
    this.#count += 1
    return this.#count
  }
}

/** Whether a replaced driver made the call. Such a call counts only if the run's output names it. */
function isLate(called: ToolCalled | undefined, epoch: number): boolean {
  return (called?.epoch ?? Number.POSITIVE_INFINITY) < epoch
}
