// The response object of a run. It depends on the log alone, so every node returns the same. Pure.
import type { Context, MessageEvent, RunEnded } from '@parley/protocol'
import { createdAt, type FoundRun, textsOf } from '../../session/run-report.ts'
import { toParts } from '../../session/state/run-output.ts'
import { formatJobId, type JobName, parseJobId } from '../jobs/job-id.ts'
import { argumentsOf, citation, type RunCall } from './chat-chunks.ts'
import { conversationIn, type ResponseRequest } from './response-request.ts'
import { runFailure } from './run-failure.ts'
import { noticesOf } from './run-notices.ts'
import { waitsOf } from './run-waits.ts'

export type Status = 'queued' | 'in_progress' | 'completed' | 'failed' | 'cancelled' | 'incomplete'

const PREFIX = 'resp_'

export function responseId(name: JobName): string {
  return PREFIX + formatJobId(name)
}

/** @returns undefined if the text is not the id of a response */
export function parseResponseId(text: string): JobName | undefined {
  return text.startsWith(PREFIX) ? parseJobId(text.slice(PREFIX.length)) : undefined
}

type Kind = 'text' | 'reasoning' | 'call' | 'result'

/** An item of an input or an output, in the form of the API. */
export interface Item {
  readonly id: string
}

/** The item's place in its response, from which any node can find it. */
export interface ItemName {
  readonly name: JobName
  /** Whether it is an item of the input, not of the output. */
  readonly isInput?: boolean
  readonly index: number
}

const ITEM_PREFIXES = { text: 'msg', reasoning: 'rs', call: 'fc', result: 'fco' } as const
const ITEM_ID = /^(?:msg|rs|fco?)_(.+)_(i?)(\d{1,6})$/

export function itemId(kind: Kind, { name, isInput = false, index }: ItemName): string {
  return `${ITEM_PREFIXES[kind]}_${formatJobId(name)}_${isInput ? 'i' : ''}${index}`
}

/** @returns undefined if the text is not the id of an item */
export function parseItemId(text: string): ItemName | undefined {
  const [, job = '', input = '', index = ''] = ITEM_ID.exec(text) ?? []
  const name = parseJobId(job)
  return name === undefined ? undefined : { name, isInput: input !== '', index: Number(index) }
}

/** The fields of a response that do not change during its run. */
export interface ResponseHead {
  readonly name: JobName
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly model: string
  readonly background: boolean
  readonly isStored: boolean
  readonly previous: string | null
  /** Whether the request named the session. */
  readonly isConversation: boolean
  readonly metadata: Readonly<Record<string, string>>
  readonly context: Context
}

/** In the message's metadata, the prefix of the names that come from the request. */
const CLIENT_PREFIX = 'm.'

/**
 * Fields of the request that the run does not need. They are stored with the message, so that any node can return
 * them.
 */
export function asMetadata({
  background,
  store,
  previous_response_id: previous,
  conversation,
  metadata,
}: Partial<
  Pick<ResponseRequest, 'background' | 'store' | 'previous_response_id' | 'conversation' | 'metadata'>
>): NonNullable<Context['metadata']> {
  return {
    ...(background === true ? { background: 'true' } : {}),
    ...(store === false ? { store: 'false' } : {}),
    ...(previous === undefined || previous === null ? {} : { previous }),
    ...(conversationIn({ conversation }) === undefined ? {} : { conversation: 'true' }),
    ...Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [CLIENT_PREFIX + name, value])),
  }
}

export function headOf(name: JobName, found: FoundRun): ResponseHead {
  const message = messageOf(found)
  const { context = {} } = message ?? {}
  const { metadata = {} } = context
  const own = Object.entries(metadata).filter(([key]) => key.startsWith(CLIENT_PREFIX))
  return {
    name,
    createdAt: createdAt(found),
    model: message?.model ?? found.record.model ?? '',
    background: metadata.background === 'true',
    isStored: metadata.store !== 'false',
    previous: metadata.previous ?? null,
    isConversation: metadata.conversation === 'true',
    metadata: Object.fromEntries(own.map(([key, value]) => [key.slice(CLIENT_PREFIX.length), value])),
    context,
  }
}

/** @param id of the message; by default the one that the run answers */
export function messageOf({ state, record }: FoundRun, id = record.message): MessageEvent | undefined {
  return state.messages.find(({ event }) => event.id === id)?.event
}

export function statusOf({ record }: FoundRun): Status {
  if (record.ended === undefined) return record.phase === 'queued' ? 'queued' : 'in_progress'
  return endedStatus(record.ended)
}

export function endedStatus({ reason, error, cut }: RunEnded): Status {
  if (error?.code === 'token_limit' || cut === true || reason === 'superseded') return 'incomplete'
  if (reason === 'completed') return 'completed'
  return reason === 'failed' ? 'failed' : 'cancelled'
}

export function responseOf(head: ResponseHead, found: FoundRun): object {
  const { ended } = found.record
  const response = responseObject(head, statusOf(found), itemsOf(head.name, found), ended)
  return { ...response, ...(ended === undefined ? waitsOf(head.name.session, found) : {}) }
}

/** The output of a response, as far as it exists. */
export function itemsOf(name: JobName, { record }: FoundRun): readonly Item[] {
  const items = new Items(name)
  let next = 0
  const parts = toParts(record.output)
  const texts = textsOf(parts)
  for (const [at, part] of parts.entries()) {
    if (!('lengths' in part)) continue
    // A gap between indexes: output was dropped when a driver was lost.
    if (part.index > next) items.close()
    next = part.index + part.lengths.length
    if (part.type === 'text') items.text(part.type, texts[at] ?? '')
    else if (part.type === 'reasoning') items.text(part.type, part.text)
    else if (part.type === 'input') items.input(part.call, part.name, part.text)
    else if (part.type === 'source') items.source(part)
  }
  if (record.ended === undefined) return items.growing()
  for (const { id, name, input, marks } of record.calls.values()) {
    items.marks({ call: id, name, input, marks })
    items.call({ call: id, name, input })
  }
  items.close()
  items.breakOff()
  return items.done
}

export function responseObject(
  head: ResponseHead,
  status: Status,
  output: readonly object[],
  ended?: RunEnded,
): object {
  const { instructions = null, tools = [], sampling = {} } = head.context
  const { json, toolChoice = 'auto' } = sampling
  const format =
    json === undefined
      ? { type: 'text' }
      : json.schema === undefined
        ? { type: 'json_object' }
        : { type: 'json_schema', name: 'answer', strict: false, ...json }
  return {
    id: responseId(head.name),
    object: 'response',
    created_at: Math.floor(head.createdAt / 1000),
    status,
    background: head.background,
    error: status === 'failed' ? errorOf(ended) : null,
    incomplete_details: status === 'incomplete' ? { reason: cutReason(ended) } : null,
    instructions,
    max_output_tokens: sampling.maxOutputTokens ?? null,
    model: head.model,
    output,
    parallel_tool_calls: sampling.parallelToolCalls ?? true,
    previous_response_id: head.previous,
    ...(head.isConversation ? { conversation: { id: head.name.session } } : {}),
    reasoning: { effort: sampling.reasoningEffort ?? null, summary: sampling.reasoningSummary ?? null },
    store: head.isStored,
    temperature: sampling.temperature ?? 1,
    text: { format, ...(sampling.verbosity === undefined ? {} : { verbosity: sampling.verbosity }) },
    tool_choice: typeof toolChoice === 'string' ? toolChoice : { type: 'function', name: toolChoice.name },
    tools: tools.map(({ name, description, inputSchema, strict = false }) => ({
      type: 'function',
      name,
      description: description ?? null,
      parameters: inputSchema ?? null,
      strict,
    })),
    top_p: sampling.topP ?? 1,
    truncation: sampling.truncation ?? 'disabled',
    // A cancel from outside does not know the usage.
    usage: ended === undefined || status === 'cancelled' || ended.reason === 'superseded' ? null : usageOf(ended),
    user: sampling.user ?? null,
    metadata: head.metadata,
    ...noticesOf(ended ?? {}).field,
  }
}

/** `steered`: a message of the user replaced it. */
function cutReason(ended: RunEnded | undefined): string {
  return ended?.reason === 'superseded' ? 'steered' : 'max_output_tokens'
}

/** A response's error has codes of its own. */
function errorOf(ended: RunEnded | undefined): object {
  const { status, error } = runFailure(ended ?? {})
  const code = status === 429 ? 'rate_limit_exceeded' : status >= 500 ? 'server_error' : 'invalid_prompt'
  return { code, message: error.message }
}

/** All details are present, since openai-java 4.105 requires them if it validates responses. */
function usageOf({ usage }: RunEnded): object {
  const { inputTokens, outputTokens, reasoningTokens = 0, cachedTokens = 0, cacheWriteTokens = 0 } = usage
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: cacheWriteTokens },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: inputTokens + outputTokens,
  }
}

interface CallItem extends Item {
  readonly arguments: string
}

/** A call whose arguments are streamed. */
export interface StreamedCall {
  readonly id: string
  readonly index: number
  readonly call: string
  readonly name: string
  text: string
  isOver: boolean
}

/** An item that still grows. */
export interface OpenItem {
  readonly kind: 'text' | 'reasoning'
  readonly id: string
  readonly index: number
  text: string
  readonly annotations: object[]
}

/**
 * The output of a growing response: adjacent text of one kind is one item, and so is each call. Ids follow from the
 * response's id.
 */
export class Items {
  readonly #name: JobName
  readonly #streamed = new Map<string, StreamedCall>()
  readonly done: Item[] = []
  open: OpenItem | undefined

  constructor(name: JobName) {
    this.#name = name
  }

  /** Adds text. @returns the item if it is a new one; the caller must close the one before first */
  text(kind: OpenItem['kind'], text: string): OpenItem | undefined {
    if (this.open !== undefined && this.open.kind !== kind) this.close()
    if (this.open !== undefined) {
      this.open.text += text
      return undefined
    }
    const index = this.done.length
    this.open = { kind, id: itemId(kind, { name: this.#name, index }), index, text, annotations: [] }
    return this.open
  }

  /** Adds a piece of a call's arguments. @returns the call, and whether it is new */
  input(call: string, name: string, text: string): { readonly streamed: StreamedCall; readonly isNew: boolean } {
    const known = this.#streamed.get(call)
    if (known === undefined) this.close()
    const index = known?.index ?? this.done.length
    const id = itemId('call', { name: this.#name, index })
    const streamed = known ?? { id, index, call, name, text: '', isOver: false }
    streamed.text += text
    this.#streamed.set(call, streamed)
    this.done[index] = callItem(streamed, streamed.text, 'in_progress')
    return { streamed, isNew: known === undefined }
  }

  /** Adds a source to the text before it. @returns undefined without one */
  source(source: { readonly url: string; readonly title?: string | undefined }): object | undefined {
    if (this.open?.kind !== 'text') return undefined
    const annotation = { type: 'url_citation', ...citation(source, this.open.text.length) }
    this.open.annotations.push(annotation)
    return annotation
  }

  /** All items, including the open one. */
  growing(): readonly Item[] {
    return this.open === undefined
      ? this.done
      : [...this.done, { ...textItem(this.open, 'completed'), status: 'in_progress' } as Item]
  }

  /** Closes the open item. @returns it in its final form */
  close(): Item | undefined {
    const { open } = this
    if (open === undefined) return undefined
    this.open = undefined
    const item = textItem(open, 'completed')
    this.done.push(item)
    return item
  }

  /**
   * What the model's provider wants back with a call, as a reasoning item before it: clients return the encrypted content of those.
   * @returns undefined if it wants nothing
   */
  marks({ call, marks }: RunCall): { readonly index: number; readonly item: Item } | undefined {
    this.close()
    if (marks === undefined) return undefined
    const index = this.done.length
    const id = itemId('reasoning', { name: this.#name, index })
    const item = {
      ...textItem({ kind: 'reasoning', id, index, text: '', annotations: [] }, 'completed'),
      encrypted_content: encryptedContent(call, marks),
    }
    this.done.push(item)
    return { index, item }
  }

  /** A complete call. */
  call({ call, name, input }: RunCall): {
    readonly id: string
    readonly index: number
    readonly item: CallItem
    readonly isStreamed: boolean
  } {
    this.close()
    const streamed = this.#streamed.get(call)
    const index = streamed?.index ?? this.done.length
    const id = itemId('call', { name: this.#name, index })
    const item = callItem({ id, call, name }, argumentsOf(input, streamed?.text), 'completed')
    if (streamed !== undefined) streamed.isOver = true
    this.done[index] = item
    return { id, index, item, isStreamed: streamed !== undefined }
  }

  /** Ends the calls that the model did not complete. @returns their items */
  breakOff(): readonly { readonly index: number; readonly item: Item }[] {
    const broken = [...this.#streamed.values()].filter(({ isOver }) => !isOver)
    return broken.map((streamed) => {
      const { index } = streamed
      const item = callItem(streamed, streamed.text, 'incomplete')
      this.done[index] = item
      return { index, item }
    })
  }
}

function callItem(
  { id, call, name }: Pick<StreamedCall, 'id' | 'call' | 'name'>,
  text: string,
  status: 'in_progress' | 'completed' | 'incomplete',
): CallItem & { readonly type: string } {
  return { id, type: 'function_call', status, call_id: call, name, arguments: text } as CallItem & { type: string }
}

/** What the provider wants back with a call, in a reasoning item. */
export function encryptedContent(call: string, marks: string): string {
  return `${call}.${marks}`
}

export function textItem({ kind, id, text, annotations }: OpenItem, status: 'in_progress' | 'completed'): Item {
  if (kind === 'reasoning') {
    const content = text === '' ? [] : [{ type: 'reasoning_text', text }]
    return { id, type: 'reasoning', summary: [], content, status } as Item
  }
  const content = status === 'in_progress' ? [] : [textPart(text, annotations)]
  return { id, type: 'message', role: 'assistant', status, content } as Item
}

export function textPart(text: string, annotations: readonly object[] = []): object {
  return { type: 'output_text', text, annotations, logprobs: [] }
}
