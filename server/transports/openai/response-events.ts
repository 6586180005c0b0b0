// ResponseEvents: turns the pieces of a run into the events of a streamed response. Their sequence numbers follow from
// the log alone: every reader on every node counts the same, before and after compaction, and no number is used twice.
// If a run restarts, more numbers are skipped than the dropped output can have had, and `response.in_progress` has the
// remaining output.
import type { RunEnded } from '@parley/protocol'
import type { PieceChange, TextKind } from '@parley/protocol/run-pieces'
import type { RunCall } from './chat-chunks.ts'
import {
  endedStatus,
  Items,
  type OpenItem,
  type ResponseHead,
  responseObject,
  textItem,
  textPart,
} from './response-object.ts'

export interface ResponseEvent {
  readonly type: string
  readonly sequence_number: number
}

export interface ResponseStep {
  readonly events: readonly ResponseEvent[]
  readonly ended?: true
}

/** Numbers skipped for each dropped output, which has 6 events at most: 3 close an item, 2 open one, 1 is the delta. */
const NUMBERS_SKIPPED = 8

export class ResponseEvents {
  readonly #head: ResponseHead
  /** The number of the last event that the reader has; -1 if it has none. */
  #after: number
  #items: Items
  /** Complete calls are reported after the whole text. */
  #calls: RunCall[] = []
  /** The tools of calls. */
  readonly #names = new Map<string, string>()
  #events: ResponseEvent[] = []
  /** The number of the next event. */
  #sequence = 0
  /** The index after the last output that has events. */
  #nextIndex = 0
  /** The number of data outputs after it. They have no events. */
  #passed = 0
  /** The index after the last data output. */
  #passedTo = 0

  constructor(head: ResponseHead, after: number) {
    this.#head = head
    this.#after = after
    this.#items = new Items(head.name)
  }

  /** The event before the run has started. */
  created(): ResponseStep {
    const status = this.#head.background ? 'queued' : 'in_progress'
    this.#emit('response.created', { response: responseObject(this.#head, status, []) })
    return this.#step()
  }

  take(change: PieceChange): ResponseStep {
    switch (change.type) {
      case 'started':
        this.#emitInProgress()
        break
      case 'grew':
        if (change.kind === 'input') this.#input(change)
        else this.#text(change)
        break
      case 'opened':
        // Neither results nor child runs: the API has no item for what a server's own tools do.
        if (change.kind === 'input') this.#names.set(change.call, change.name)
        break
      case 'source':
        this.#source(change)
        break
      case 'file':
        this.#count(change.index)
        break
      case 'data':
        this.#pass(change.index, change.index + 1)
        break
      case 'passed':
        this.#pass(change.index, change.next)
        break
      case 'closed':
        if (change.kind === 'input' && change.called !== undefined) this.#calls.push(change.called)
        break
      case 'restarted':
        this.#restart()
        break
      case 'ended':
        this.#end(change.end)
        return { ...this.#step(), ended: true }
    }
    return this.#step()
  }

  #end(end: RunEnded): void {
    this.#skipTo(end.next)
    this.#close()
    for (const call of this.#calls) this.#call(call)
    for (const { index, item } of this.#items.breakOff())
      this.#emit('response.output_item.done', { output_index: index, item })
    const status = endedStatus(end)
    const response = responseObject(this.#head, status, this.#items.done, end)
    // The API has no event for a cancelled response; the status in the response says so.
    this.#emit(`response.${status === 'cancelled' ? 'incomplete' : status}`, { response })
  }

  /** Counts the remaining output again, without repeating the numbers that a reader may have. */
  #restart(): void {
    this.#after = Math.max(this.#after, this.#sequence - 1)
    this.#items = new Items(this.#head.name)
    this.#calls = []
    this.#sequence = 0
    this.#nextIndex = 0
    this.#passed = 0
    this.#passedTo = 0
    this.created()
    this.#emitInProgress()
  }

  /** Skips the numbers of outputs before this index, which were dropped by a restart. */
  #skipTo(index: number): void {
    const dropped = index - this.#nextIndex - this.#passed
    this.#nextIndex = Math.max(this.#nextIndex, index)
    this.#passed = 0
    if (dropped <= 0) return
    this.#sequence += (dropped + 1) * NUMBERS_SKIPPED
    this.#close()
    this.#emitInProgress()
  }

  /** Data between dropped outputs is kept: their numbers are skipped together, at the next output with events. */
  #pass(from: number, end: number): void {
    this.#passed += Math.max(0, end - Math.max(from, this.#passedTo, this.#nextIndex))
    this.#passedTo = Math.max(this.#passedTo, end)
  }

  /** Counts an output. */
  #count(index: number): void {
    this.#skipTo(index)
    this.#nextIndex = Math.max(this.#nextIndex, index + 1)
  }

  #text({ kind, index, gap, text: added }: Extract<PieceChange, { type: 'grew'; kind: TextKind }>): void {
    const text = gap + added
    this.#count(index)
    if (this.#items.open !== undefined && this.#items.open.kind !== kind) this.#close()
    const opened = this.#items.text(kind, text)
    if (opened !== undefined) this.#open(opened)
    const open = this.#items.open
    if (open === undefined) return
    const at = { item_id: open.id, output_index: open.index, content_index: 0 }
    if (kind === 'text') this.#emit('response.output_text.delta', { ...at, delta: text, logprobs: [] })
    else this.#emit('response.reasoning_text.delta', { ...at, delta: text })
  }

  #input({ call, index, text }: Extract<PieceChange, { type: 'grew'; kind: 'input' }>): void {
    this.#count(index)
    this.#close()
    const { streamed, isNew } = this.#items.input(call, this.#names.get(call) ?? '', text)
    const at = { item_id: streamed.id, output_index: streamed.index }
    if (isNew) {
      const item = { ...this.#items.done[streamed.index], arguments: '' }
      this.#emit('response.output_item.added', { output_index: streamed.index, item })
    }
    this.#emit('response.function_call_arguments.delta', { ...at, delta: text })
  }

  #source(source: Extract<PieceChange, { type: 'source' }>): void {
    this.#count(source.index)
    const annotation = this.#items.source(source)
    const { open } = this.#items
    if (annotation === undefined || open === undefined) return
    this.#emit('response.output_text.annotation.added', {
      item_id: open.id,
      output_index: open.index,
      content_index: 0,
      annotation_index: open.annotations.length - 1,
      annotation,
    })
  }

  #open(item: OpenItem): void {
    this.#emit('response.output_item.added', {
      output_index: item.index,
      item: textItem({ ...item, text: '' }, 'in_progress'),
    })
    const part = item.kind === 'text' ? textPart('') : { type: 'reasoning_text', text: '' }
    this.#emit('response.content_part.added', { item_id: item.id, output_index: item.index, content_index: 0, part })
  }

  #close(): void {
    const { open } = this.#items
    const item = this.#items.close()
    if (open === undefined || item === undefined) return
    const { id, index, kind, text } = open
    const at = { item_id: id, output_index: index, content_index: 0 }
    if (kind === 'text') this.#emit('response.output_text.done', { ...at, text, logprobs: [] })
    else this.#emit('response.reasoning_text.done', { ...at, text })
    const part = kind === 'text' ? textPart(text, open.annotations) : { type: 'reasoning_text', text }
    this.#emit('response.content_part.done', { ...at, part })
    this.#emit('response.output_item.done', { output_index: index, item })
  }

  #call(call: RunCall): void {
    const marked = this.#items.marks(call)
    if (marked !== undefined) {
      this.#emit('response.output_item.added', {
        output_index: marked.index,
        item: { ...marked.item, status: 'in_progress' },
      })
      this.#emit('response.output_item.done', { output_index: marked.index, item: marked.item })
    }
    const { id, index, item, isStreamed } = this.#items.call(call)
    const { arguments: text } = item
    if (!isStreamed) {
      const started = { ...item, arguments: '', status: 'in_progress' }
      this.#emit('response.output_item.added', { output_index: index, item: started })
      this.#emit('response.function_call_arguments.delta', { item_id: id, output_index: index, delta: text })
    }
    this.#emit('response.function_call_arguments.done', {
      item_id: id,
      output_index: index,
      name: call.name,
      arguments: text,
    })
    this.#emit('response.output_item.done', { output_index: index, item })
  }

  #emitInProgress(): void {
    this.#emit('response.in_progress', { response: responseObject(this.#head, 'in_progress', [...this.#items.done]) })
  }

  #emit(type: string, fields: object): void {
    const sequence = this.#sequence
    this.#sequence += 1
    if (sequence > this.#after) this.#events.push({ type, sequence_number: sequence, ...fields })
  }

  #step(): ResponseStep {
    const events = this.#events
    this.#events = []
    return { events }
  }
}
