// WarmUps: the requests of one socket with `generate: false`. They have an id but no answer, and the model is not asked. Later requests of
// the socket continue from them: they get the input of both. Nothing is stored, so they end with the socket.
import { makeId, type RunEnded } from '@parley/protocol'
import { conforming } from '../../http/http-body.ts'
import { HttpError } from '../../http/http-error.ts'
import type { HttpRequest } from '../../http/http-request.ts'
import { resolveItems } from '../item-references.ts'
import { resolveModel } from '../model-routes.ts'
import type { OpenAiPorts } from '../openai-ports.ts'
import { checkOptions } from '../request-fields.ts'
import { type ResponseEvent, ResponseEvents } from '../response-events.ts'
import { responseId } from '../response-object.ts'
import { checkResponse, RESPONSE_FIELDS, ResponseRequest, responseMessage } from '../response-request.ts'
import { previousOf } from '../response-send.ts'
import type { CreateFrame } from './response-frames.ts'

interface Kept {
  /** With the input of the warm-ups before it. */
  readonly frame: CreateFrame
  readonly bytes: number
}

/** How many a socket keeps. */
const MAX_KEPT = 16

export class WarmUps {
  readonly #maxBytes: number
  readonly #kept = new Map<string, Kept>()

  /** @param maxBytes of all kept requests together */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The request with the input of the warm-up that it continues. @throws HttpError bad_request */
  whole(frame: CreateFrame): CreateFrame {
    const joined = this.#join(frame)
    if (joined !== frame || frame.input.length === 0) conforming(ResponseRequest, joined)
    return joined
  }

  /**
   * Checks a warm-up as a request for an answer, and keeps it. The oldest ones go first.
   * @param bytes of its frame
   * @returns the events of a response without output
   * @throws HttpError, ReplyError
   */
  async add(
    ports: OpenAiPorts,
    request: HttpRequest,
    frame: CreateFrame,
    bytes: number,
  ): Promise<readonly ResponseEvent[]> {
    if (frame.conversation !== undefined && frame.conversation !== null) {
      const words = 'A request without an answer does not become part of a conversation.'
      throw new HttpError('bad_request', words, { path: 'conversation' })
    }
    const whole = this.#join(frame)
    const before = this.#kept.get(frame.previous_response_id ?? '')
    checkResponse(whole)
    const model = resolveModel(ports.models, whole.model)
    await previousOf(ports, request, whole)
    const resolved = { ...whole, input: await resolveItems(ports, request, whole.input) }
    const { context } = responseMessage(resolved, [], (file) => ports.acceptsFile(model, file))
    checkOptions(model, ports.unsupported(model, context.sampling ?? {}), RESPONSE_FIELDS)
    const name = { session: makeId('resp'), run: makeId('run') }
    this.#keep(responseId(name), { frame: whole, bytes: bytes + (before?.bytes ?? 0) })
    const events = new ResponseEvents(
      {
        ...{ name, createdAt: Date.now(), model, context },
        ...{ background: false, isStored: false, isConversation: false },
        previous: frame.previous_response_id ?? null,
        metadata: frame.metadata ?? {},
      },
      -1,
    )
    return [...events.created().events, ...events.take({ type: 'ended', end: nothing(name.run) }).events]
  }

  #join(frame: CreateFrame): CreateFrame {
    const before = this.#kept.get(frame.previous_response_id ?? '')?.frame
    if (before === undefined) return frame
    const input = [...itemsOf(before), ...itemsOf(frame)]
    return { ...frame, input, previous_response_id: before.previous_response_id }
  }

  #keep(id: string, kept: Kept): void {
    if (kept.bytes > this.#maxBytes) {
      throw new HttpError('too_large', `The inputs before an answer may have ${this.#maxBytes} bytes together.`)
    }
    this.#kept.set(id, kept)
    for (const oldest of this.#kept.keys()) {
      const bytes = [...this.#kept.values()].reduce((sum, each) => sum + each.bytes, 0)
      if (bytes <= this.#maxBytes && this.#kept.size <= MAX_KEPT) return
      this.#kept.delete(oldest)
    }
  }
}

function itemsOf({ input }: CreateFrame): Exclude<CreateFrame['input'], string> {
  if (input === '') return []
  return typeof input === 'string' ? [{ type: 'message', role: 'user', content: input }] : input
}

function nothing(run: string): RunEnded {
  return { type: 'run.ended', run, reason: 'completed', next: 0, usage: { inputTokens: 0, outputTokens: 0 } }
}
