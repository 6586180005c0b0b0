// ResponseEvents: the pieces of a run as the events of a streamed response, each with a number that follows from the log alone:
// whoever reads it later, on another node or folded, counts the same, and no number is ever given twice. Where an answer was
// begun anew, more numbers are left out than what was dropped can have had, and `response.in_progress` says what stands.
import {
  endedStatus,
  Items,
  type OpenItem,
  type ResponseHead,
  responseObject,
  textItem,
  textPart,
} from './response-object.ts'
import type { Piece, RunCall } from './run-pieces.ts'

export interface ResponseEvent {
  readonly type: string
  readonly sequence_number: number
}

export interface ResponseStep {
  readonly events: readonly ResponseEvent[]
  readonly over?: true
}

/** Numbers left out for each output that was dropped: it has closed an item (3), opened one (2), and been told (1), at most. */
const NUMBERS_DROPPED = 8

export class ResponseEvents {
  readonly #head: ResponseHead
  /** The number of the last event that its reader has; -1: none. */
  #after: number
  #items: Items
  #events: ResponseEvent[] = []
  /** Of the next event. */
  #sequence = 0
  #nextIndex = 0

  constructor(head: ResponseHead, after: number) {
    this.#head = head
    this.#after = after
    this.#items = new Items(head.name.run)
  }

  /** Before the run has begun. */
  created(): ResponseStep {
    const status = this.#head.background ? 'queued' : 'in_progress'
    this.#say('response.created', { response: responseObject(this.#head, status, []) })
    return this.#step()
  }

  take(piece: Piece): ResponseStep {
    switch (piece.type) {
      case 'begun':
        this.#sayInProgress()
        return this.#step()
      case 'text':
        this.#text(piece)
        return this.#step()
      case 'restarted':
        this.#beginAnew()
        return this.#step()
      case 'ended': {
        this.#skipTo(piece.end.next)
        this.#close()
        for (const call of piece.calls) this.#call(call)
        const status = endedStatus(piece.end)
        const response = responseObject(this.#head, status, this.#items.done, piece.end)
        // That API has no event for what was cancelled: the response says it.
        this.#say(`response.${status === 'cancelled' ? 'incomplete' : status}`, { response })
        return { ...this.#step(), over: true }
      }
    }
  }

  /** All that stands is counted once more, and what its reader has is not said again. */
  #beginAnew(): void {
    this.#after = Math.max(this.#after, this.#sequence - 1)
    this.#items = new Items(this.#head.name.run)
    this.#sequence = 0
    this.#nextIndex = 0
    this.created()
    this.#sayInProgress()
  }

  /** Outputs before this index that have not come were dropped. */
  #skipTo(index: number): void {
    const dropped = index - this.#nextIndex
    this.#nextIndex = Math.max(this.#nextIndex, index)
    if (dropped <= 0) return
    this.#sequence += (dropped + 1) * NUMBERS_DROPPED
    this.#close()
    this.#sayInProgress()
  }

  #text({ kind, index, text }: Extract<Piece, { type: 'text' }>): void {
    this.#skipTo(index)
    this.#nextIndex = index + 1
    if (this.#items.open !== undefined && this.#items.open.kind !== kind) this.#close()
    const opened = this.#items.text(kind, text)
    if (opened !== undefined) this.#open(opened)
    const open = this.#items.open
    if (open === undefined) return
    const at = { item_id: open.id, output_index: open.index, content_index: 0 }
    if (kind === 'text') this.#say('response.output_text.delta', { ...at, delta: text, logprobs: [] })
    else this.#say('response.reasoning_text.delta', { ...at, delta: text })
  }

  #open(item: OpenItem): void {
    this.#say('response.output_item.added', {
      output_index: item.index,
      item: textItem({ ...item, text: '' }, 'in_progress'),
    })
    const part = item.kind === 'text' ? textPart('') : { type: 'reasoning_text', text: '' }
    this.#say('response.content_part.added', { item_id: item.id, output_index: item.index, content_index: 0, part })
  }

  #close(): void {
    const { open } = this.#items
    const item = this.#items.close()
    if (open === undefined || item === undefined) return
    const { id, index, kind, text } = open
    const at = { item_id: id, output_index: index, content_index: 0 }
    if (kind === 'text') this.#say('response.output_text.done', { ...at, text, logprobs: [] })
    else this.#say('response.reasoning_text.done', { ...at, text })
    const part = kind === 'text' ? textPart(text) : { type: 'reasoning_text', text }
    this.#say('response.content_part.done', { ...at, part })
    this.#say('response.output_item.done', { output_index: index, item })
  }

  #call(call: RunCall): void {
    const { id, index, item } = this.#items.call(call)
    const { arguments: text } = item as { readonly arguments: string }
    const begun = { ...item, arguments: '', status: 'in_progress' }
    this.#say('response.output_item.added', { output_index: index, item: begun })
    this.#say('response.function_call_arguments.delta', { item_id: id, output_index: index, delta: text })
    this.#say('response.function_call_arguments.done', {
      item_id: id,
      output_index: index,
      name: call.name,
      arguments: text,
    })
    this.#say('response.output_item.done', { output_index: index, item })
  }

  #sayInProgress(): void {
    this.#say('response.in_progress', { response: responseObject(this.#head, 'in_progress', [...this.#items.done]) })
  }

  #say(type: string, fields: object): void {
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
