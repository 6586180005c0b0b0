// AgUiEvents: turns the pieces of a run into AG-UI events that versions 0.0.59 and 1.0 both accept. Whatever ends the run, everything
// that was opened is closed first, as both require. Each event has an id by its place in the run's output, so that a client can read
// on after it. No I/O.
import type { RunEnded } from '@parley/protocol'
import type { PieceChange } from '@parley/protocol/run-pieces'
import { type AgUiRequest, isCurrent, resultText } from './ag-ui-request.ts'

export interface AgUiEvent {
  readonly type: string
  readonly [field: string]: unknown
}

/** An event with its place: the number of outputs before it, and its number among the events there. Some have no place. */
export interface PlacedEvent {
  readonly event: AgUiEvent
  readonly id?: string
}

/** Something that waits for a person. */
export interface Interrupt {
  readonly id: string
  readonly reason: 'confirmation' | 'input_required'
  readonly message: string
  readonly toolCallId: string
  readonly responseSchema?: unknown
  /** RFC 3339. */
  readonly expiresAt?: string
}

/** What the client has of the run. */
export interface AgUiPosition {
  readonly lastEventId?: string | undefined
  /** The number of outputs before the interrupt that this run resumes. */
  readonly interruptedAt?: number | undefined
  /** The calls whose results the client has. */
  readonly known?: ReadonlySet<string>
  /** The calls of the run so far. */
  readonly calls?: ReadonlySet<string>
}

const NONE: ReadonlySet<string> = new Set()

const PLACE = /^(\d{1,9})\.(\d{1,9})$/

interface Place {
  readonly next: number
  readonly number: number
}

export class AgUiEvents {
  readonly #request: AgUiRequest
  readonly #run: string
  #known: ReadonlySet<string>
  readonly #calls: ReadonlySet<string>
  readonly #isContinued: boolean
  /** Events up to this place are left out. */
  #after: Place | undefined
  /** Those events, until it is known that the client has them. */
  #left: PlacedEvent[] = []
  #hasPlace = false
  #next = 0
  #number = 0
  /** The piece of each kind that is open, with the id of its message. */
  readonly #opened = new Map<number, string>()
  readonly #names = new Map<string, string>()
  /** The calls that were begun, and those of which arguments were sent. */
  readonly #begun = new Set<string>()
  readonly #streamed = new Set<string>()
  #state: Record<string, unknown> | undefined
  #events: PlacedEvent[] = []

  constructor(
    request: AgUiRequest,
    run: string,
    { lastEventId, interruptedAt, known = NONE, calls = NONE }: AgUiPosition,
  ) {
    this.#request = request
    this.#run = run
    this.#known = known
    this.#calls = calls
    const [, next, number] = PLACE.exec(lastEventId ?? '') ?? []
    this.#isContinued = next !== undefined
    if (next !== undefined) this.#after = { next: Number(next), number: Number(number) }
    else if (interruptedAt !== undefined) this.#after = { next: interruptedAt, number: Number.POSITIVE_INFINITY }
    this.#hasPlace = this.#after?.next === 0
  }

  /** The first events of a stream. @param isRepeated the client may have a part of the answer, which follows again */
  begin(isRepeated: boolean): readonly PlacedEvent[] {
    if (this.#isContinued) return []
    const { threadId, runId } = this.#request
    this.#events.push({ event: { type: 'RUN_STARTED', threadId, runId } })
    if (isRepeated) this.#events.push(this.#snapshot())
    return this.#taken()
  }

  take(change: PieceChange): readonly PlacedEvent[] {
    switch (change.type) {
      case 'opened':
        if (change.kind === 'input') this.#names.set(change.call, change.name)
        if (change.kind === 'child') {
          const { call, run, agent } = change
          this.#emit({ type: 'CUSTOM', name: 'parley.agent', value: { call, run, agent } }, call)
        }
        break
      case 'grew':
        this.#reach(change.index + 1)
        this.#grow(change)
        break
      case 'closed':
        this.#close(change)
        break
      case 'data':
        this.#reach(change.index + 1)
        this.#data(change.id ?? change.name, change.data)
        break
      case 'source':
      case 'file':
        this.#reach(change.index + 1)
        this.#emit({ type: 'CUSTOM', name: `parley.${change.type}`, value: withoutType(change) })
        break
      case 'progress':
        this.#emitUnplaced({ type: 'CUSTOM', name: 'parley.progress', value: withoutType(change.progress) })
        break
      case 'passed':
        this.#hasPlace ||= this.#after !== undefined && this.#next < this.#after.next && this.#after.next <= change.next
        this.#reach(change.next)
        break
      case 'restarted':
        // The client drops the messages of this run; what remains of them follows.
        this.#after = undefined
        this.#left = []
        this.#next = 0
        this.#number = 0
        this.#begun.clear()
        this.#streamed.clear()
        this.#events.push(this.#snapshot())
        break
      case 'ended':
        this.#reach(change.end.next)
        this.#end(change.end)
    }
    return this.#taken()
  }

  /** The run waits for people. The next run of the thread resumes it. */
  interrupt(interrupts: readonly Interrupt[]): readonly PlacedEvent[] {
    this.#resume()
    const { threadId, runId } = this.#request
    const outcome = { type: 'interrupt', interrupts }
    this.#events.push({ event: { type: 'RUN_FINISHED', threadId, runId, outcome } })
    return this.#taken()
  }

  /** The stream ends although the run has not. */
  broken(code: string, message: string): readonly PlacedEvent[] {
    this.#events.push({ event: { type: 'RUN_ERROR', message, code } })
    return this.#taken()
  }

  /** Begins with the first text: a place belongs to the output that it follows. */
  #grow(change: Extract<PieceChange, { type: 'grew' }>): void {
    const delta = change.text
    // Both versions refuse an empty delta.
    if (delta === '') return
    if (change.kind === 'input') {
      this.#begin(change.call)
      this.#streamed.add(change.call)
      this.#emit({ type: 'TOOL_CALL_ARGS', toolCallId: change.call, delta }, change.call)
      return
    }
    const known = this.#opened.get(change.id)
    const messageId = known ?? `msg_${this.#run}_${change.index}`
    this.#opened.set(change.id, messageId)
    const isText = change.kind === 'text'
    if (known === undefined && isText) this.#emit({ type: 'TEXT_MESSAGE_START', messageId, role: 'assistant' })
    if (known === undefined && !isText) {
      this.#emit({ type: 'REASONING_START', messageId })
      this.#emit({ type: 'REASONING_MESSAGE_START', messageId, role: 'reasoning' })
    }
    this.#emit({ type: isText ? 'TEXT_MESSAGE_CONTENT' : 'REASONING_MESSAGE_CONTENT', messageId, delta })
  }

  #begin(call: string): void {
    if (this.#begun.has(call)) return
    this.#begun.add(call)
    this.#emit({ type: 'TOOL_CALL_START', toolCallId: call, toolCallName: this.#names.get(call) || 'unknown' }, call)
  }

  #close(change: Extract<PieceChange, { type: 'closed' }>): void {
    switch (change.kind) {
      case 'text': {
        const messageId = this.#opened.get(change.id)
        if (messageId !== undefined) this.#emit({ type: 'TEXT_MESSAGE_END', messageId })
        break
      }
      case 'reasoning': {
        const messageId = this.#opened.get(change.id)
        if (messageId === undefined) break
        this.#emit({ type: 'REASONING_MESSAGE_END', messageId })
        this.#emit({ type: 'REASONING_END', messageId })
        break
      }
      case 'input': {
        const { call: toolCallId, called } = change
        this.#begin(toolCallId)
        if (called !== undefined && !this.#streamed.has(toolCallId)) {
          const delta = resultText({ output: called.input ?? {} })
          this.#emit({ type: 'TOOL_CALL_ARGS', toolCallId, delta }, toolCallId)
        }
        this.#emit({ type: 'TOOL_CALL_END', toolCallId }, toolCallId)
        break
      }
      case 'output': {
        const { call: toolCallId, result } = change
        if (this.#known.has(toolCallId)) break
        const content = resultText(result)
        const event = { type: 'TOOL_CALL_RESULT', messageId: `res_${toolCallId}`, toolCallId, content, role: 'tool' }
        // Without a place: there is no order between a result and the outputs of other calls.
        this.#events.push({ event })
      }
    }
  }

  #data(key: string, value: unknown): void {
    const isFirst = this.#state === undefined
    this.#state = { ...this.#held(), ...this.#state, [key]: value }
    const path = `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
    // `add` replaces an existing member, so it always applies to the snapshot before.
    if (isFirst) this.#emit({ type: 'STATE_SNAPSHOT', snapshot: this.#state })
    else this.#emit({ type: 'STATE_DELTA', delta: [{ op: 'add', path, value }] })
  }

  /** The state that the client sent. */
  #held(): Record<string, unknown> {
    const { state } = this.#request
    return typeof state === 'object' && state !== null && !Array.isArray(state) ? { ...state } : {}
  }

  #end({ reason, error }: RunEnded): void {
    this.#resume()
    const { threadId, runId } = this.#request
    if (reason === 'failed') {
      this.#emitUnplaced({
        type: 'RUN_ERROR',
        message: error?.message ?? 'The run failed.',
        code: error?.code ?? 'internal',
      })
      return
    }
    const isCut = reason !== 'completed' && isCurrent(this.#request)
    this.#emitUnplaced({
      type: 'RUN_FINISHED',
      threadId,
      runId,
      ...(isCut ? { outcome: { type: 'cancelled' } } : {}),
    })
  }

  /** The messages without those of this run. */
  #snapshot(): PlacedEvent {
    this.#known = NONE
    const own = `msg_${this.#run}_`
    const messages = this.#request.messages.filter(({ id = '', toolCallId = '' }) => {
      return !id.startsWith(own) && !this.#calls.has(id) && !this.#calls.has(toolCallId)
    })
    return { event: { type: 'MESSAGES_SNAPSHOT', messages } }
  }

  #reach(next: number): void {
    if (next <= this.#next) return
    this.#next = next
    this.#number = 0
    this.#hasPlace ||= this.#after?.next === next
  }

  /** @param call that the event is about */
  #emit(event: AgUiEvent, call?: string): void {
    const place = { next: this.#next, number: this.#number }
    this.#number += 1
    if (this.#after !== undefined) {
      // The calls before an interrupt are known by name.
      const isNew = this.#isContinued || call === undefined ? isPast(place, this.#after) : !this.#calls.has(call)
      if (!isNew) {
        this.#left.push({ event, id: `${place.next}.${place.number}` })
        return
      }
      this.#resume()
    }
    this.#events.push({ event, id: `${place.next}.${place.number}` })
  }

  #emitUnplaced(event: AgUiEvent): void {
    if (this.#after === undefined || !this.#isContinued) this.#events.push({ event })
  }

  /** The reader has reached what the client lacks. The state is sent as a whole. */
  #resume(): void {
    if (this.#after === undefined) return
    this.#after = undefined
    // Without its place, the client has output that a restart dropped.
    if (this.#isContinued && !this.#hasPlace) this.#events.push(this.#snapshot(), ...this.#left)
    this.#left = []
    if (this.#state !== undefined) this.#events.push({ event: { type: 'STATE_SNAPSHOT', snapshot: this.#state } })
  }

  #taken(): readonly PlacedEvent[] {
    const events = this.#events
    this.#events = []
    return events
  }
}

function isPast(place: Place, after: Place): boolean {
  return place.next > after.next || (place.next === after.next && place.number > after.number)
}

function withoutType(value: object): object {
  const { type: _, run: __, index: ___, ...fields } = { type: '', run: '', index: 0, ...value }
  return fields
}
