// A response as it stands, made of its run: whoever asks, and whenever, on whatever node. Pure.
import type { Context, MessageEvent, RunEnded } from '@parley/protocol'
import { createdAt, type FoundRun } from '../../session/run-report.ts'
import { toParts } from '../../session/state/run-output.ts'
import { formatJobId, type JobName, parseJobId } from '../jobs/job-id.ts'
import { asArguments } from './chat-chunks.ts'
import type { ResponseRequest } from './response-request.ts'
import type { RunCall } from './run-pieces.ts'

export type Status = 'queued' | 'in_progress' | 'completed' | 'failed' | 'cancelled' | 'incomplete'

const PREFIX = 'resp_'

export function responseId(name: JobName): string {
  return PREFIX + formatJobId(name)
}

/** @returns undefined when the text names no response */
export function parseResponseId(text: string): JobName | undefined {
  return text.startsWith(PREFIX) ? parseJobId(text.slice(PREFIX.length)) : undefined
}

/** What of a response does not change while it comes. */
export interface ResponseHead {
  readonly name: JobName
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly model: string
  readonly background: boolean
  readonly isStored: boolean
  readonly previous: string | null
  readonly metadata: Readonly<Record<string, string>>
  readonly context: Context
}

/** Of names that the request gave itself, in the message's metadata. */
const OWN = 'm.'

/** What the request said that its run does not need: it lies with the message, where the next who asks finds it. */
export function asMetadata({
  background,
  store,
  previous_response_id: previous,
  metadata,
}: ResponseRequest): NonNullable<Context['metadata']> {
  return {
    ...(background === true ? { background: 'true' } : {}),
    ...(store === false ? { store: 'false' } : {}),
    ...(previous === undefined || previous === null ? {} : { previous }),
    ...Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [OWN + name, value])),
  }
}

export function headOf(name: JobName, found: FoundRun): ResponseHead {
  const message = messageOf(found)
  const { context = {} } = message ?? {}
  const { metadata = {} } = context
  const own = Object.entries(metadata).filter(([key]) => key.startsWith(OWN))
  return {
    name,
    createdAt: createdAt(found),
    model: message?.model ?? found.view.model ?? '',
    background: metadata.background === 'true',
    isStored: metadata.store !== 'false',
    previous: metadata.previous ?? null,
    metadata: Object.fromEntries(own.map(([key, value]) => [key.slice(OWN.length), value])),
    context,
  }
}

/** @param id of the message; default: the one that the run answers */
export function messageOf({ state, view }: FoundRun, id = view.message): MessageEvent | undefined {
  return state.messages.find(({ event }) => event.id === id)?.event
}

export function statusOf({ view }: FoundRun): Status {
  if (view.ended === undefined) return view.phase === 'queued' ? 'queued' : 'in_progress'
  return endedStatus(view.ended)
}

export function endedStatus({ reason, error, cut }: RunEnded): Status {
  if (error?.code === 'token_limit' || cut === true) return 'incomplete'
  if (reason === 'completed') return 'completed'
  return reason === 'failed' ? 'failed' : 'cancelled'
}

export function responseOf(head: ResponseHead, found: FoundRun): object {
  const { view } = found
  const items = new Items(head.name.run)
  let next = 0
  for (const part of toParts(view.output)) {
    if (part.type !== 'text' && part.type !== 'reasoning') continue
    // Between them something was dropped, when an owner was lost.
    if (part.index > next) items.close()
    items.text(part.type, part.text)
    next = part.index + part.lengths.length
  }
  if (view.ended === undefined) return responseObject(head, statusOf(found), items.growing())
  for (const { id, name, input } of view.calls.values()) items.call({ call: id, name, input })
  items.close()
  return responseObject(head, statusOf(found), items.done, view.ended)
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
        : { type: 'json_schema', name: json.name ?? 'answer', schema: json.schema, strict: false }
  return {
    id: responseId(head.name),
    object: 'response',
    created_at: Math.floor(head.createdAt / 1000),
    status,
    background: head.background,
    error: status === 'failed' ? { code: 'server_error', message: ended?.error?.message ?? 'The run failed.' } : null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions,
    max_output_tokens: sampling.maxOutputTokens ?? null,
    model: head.model,
    output,
    parallel_tool_calls: true,
    previous_response_id: head.previous,
    reasoning: { effort: null, summary: null },
    store: head.isStored,
    temperature: sampling.temperature ?? 1,
    text: { format },
    tool_choice: typeof toolChoice === 'string' ? toolChoice : { type: 'function', name: toolChoice.name },
    tools: tools.map(({ name, description, inputSchema }) => ({
      type: 'function',
      name,
      description: description ?? null,
      parameters: inputSchema ?? null,
      strict: false,
    })),
    top_p: sampling.topP ?? 1,
    truncation: 'disabled',
    // Whoever ended it from outside did not know it.
    usage: ended === undefined || status === 'cancelled' ? null : usageOf(ended),
    user: null,
    metadata: head.metadata,
  }
}

function usageOf({ usage: { inputTokens, outputTokens, reasoningTokens = 0 } }: RunEnded): object {
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: inputTokens + outputTokens,
  }
}

type Kind = 'text' | 'reasoning'

/** An item that text goes on being added to. */
export interface OpenItem {
  readonly kind: Kind
  readonly id: string
  readonly index: number
  text: string
}

/** The output of a response as it grows: neighbouring text of one kind is one item, each call one. Ids follow from the run's. */
export class Items {
  readonly #run: string
  readonly done: object[] = []
  open: OpenItem | undefined

  constructor(run: string) {
    this.#run = run
  }

  /** @returns the item, where it is a new one; the one before has to be closed first */
  text(kind: Kind, text: string): OpenItem | undefined {
    if (this.open !== undefined && this.open.kind !== kind) this.close()
    if (this.open !== undefined) {
      this.open.text += text
      return undefined
    }
    const index = this.done.length
    this.open = { kind, id: `${kind === 'text' ? 'msg' : 'rs'}_${this.#run}_${index}`, index, text }
    return this.open
  }

  /** With the one that is open, as it now stands. */
  growing(): readonly object[] {
    return this.open === undefined
      ? this.done
      : [...this.done, { ...textItem(this.open, 'completed'), status: 'in_progress' }]
  }

  /** @returns the item that was open, as it stands in the end */
  close(): object | undefined {
    const { open } = this
    if (open === undefined) return undefined
    this.open = undefined
    const item = textItem(open, 'completed')
    this.done.push(item)
    return item
  }

  call({ call, name, input }: RunCall): { readonly id: string; readonly index: number; readonly item: object } {
    this.close()
    const index = this.done.length
    const id = `fc_${this.#run}_${index}`
    const item = { id, type: 'function_call', status: 'completed', call_id: call, name, arguments: asArguments(input) }
    this.done.push(item)
    return { id, index, item }
  }
}

export function textItem({ kind, id, text }: OpenItem, status: 'in_progress' | 'completed'): object {
  if (kind === 'reasoning') {
    const content = text === '' ? [] : [{ type: 'reasoning_text', text }]
    return { id, type: 'reasoning', summary: [], content, status }
  }
  const content = status === 'in_progress' ? [] : [textPart(text)]
  return { id, type: 'message', role: 'assistant', status, content }
}

export function textPart(text: string): object {
  return { type: 'output_text', text, annotations: [], logprobs: [] }
}
