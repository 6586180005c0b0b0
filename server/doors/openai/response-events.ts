// ResponseEvents: the pieces of a run as the events of a streamed response, each with a number that follows from the log alone:
// whoever reads it later, on another node or folded, counts the same. An answer that was begun anew leaves out the numbers of
// what was dropped; who had some of that cannot go on, and is told so.
import type { OpenAiError } from './openai-error.ts'
import {
  endedStatus,
  Items,
  type OpenItem,
  type ResponseHead,
  responseObject,
  textItem,
  textPart,
} from './response-object.ts'
import type { Piece } from './run-pieces.ts'

export interface ResponseStep {
  readonly events: readonly { readonly type: string; readonly sequence_number: number }[]
  readonly over?: true
}

const RESTARTED: OpenAiError = {
  message: 'The answer had to be begun anew: read the response from its beginning.',
  type: 'server_error',
  param: null,
  code: 'owner_lost',
}

export class ResponseEvents {
  readonly #head: ResponseHead
  /** The number of the last event that its reader has; -1: none. */
  readonly #after: number
  readonly #items: Items
  #events: { readonly type: string; readonly sequence_number: number }[] = []
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
        this.#say('response.in_progress', { response: responseObject(this.#head, 'in_progress', []) })
        return this.#step()
      case 'text':
        return this.#text(piece)
      case 'restarted':
        return this.#broken()
      case 'call':
        this.#call(piece.call)
        return this.#step()
      case 'ended': {
        this.#close()
        const status = endedStatus(piece.end)
        const response = responseObject(this.#head, status, this.#items.done, piece.end)
        // That API has no event for what was cancelled: the response says it.
        this.#say(`response.${status === 'cancelled' ? 'incomplete' : status}`, { response })
        return { ...this.#step(), over: true }
      }
    }
  }

  #text({ kind, index, text }: Extract<Piece, { type: 'text' }>): ResponseStep {
    const skipped = index - this.#nextIndex
    this.#nextIndex = index + 1
    if (this.#items.open !== undefined && this.#items.open.kind !== kind) this.#close()
    const opened = this.#items.text(kind, text)
    if (opened !== undefined) this.#open(opened)
    if (skipped > 0) {
      this.#sequence += skipped
      const isHalf = this.#after >= this.#sequence - skipped && this.#after < this.#sequence
      if (isHalf) return this.#broken()
    }
    const open = this.#items.open
    if (open === undefined) return this.#step()
    const at = { item_id: open.id, output_index: open.index, content_index: 0 }
    if (kind === 'text') this.#say('response.output_text.delta', { ...at, delta: text, logprobs: [] })
    else this.#say('response.reasoning_text.delta', { ...at, delta: text })
    return this.#step()
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

  #call(call: Extract<Piece, { type: 'call' }>['call']): void {
    this.#close()
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

  #broken(): ResponseStep {
    const { message, code } = RESTARTED
    this.#events.push({ type: 'error', sequence_number: this.#sequence, ...{ message, code, param: null } })
    return { ...this.#step(), over: true }
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
