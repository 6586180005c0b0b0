// Answer: one answer of a model while it streams: the assistant message for the next call of the same run, with what the provider
// expects back, and the parts in the order in which the model wrote them.
import type {
  LanguageModelV3Message,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
  SharedV3ProviderMetadata,
} from '@ai-sdk/provider'
import { jsonCodec, LIMITS, type Mark, restoreNumbers, type Usage, wellFormed } from '@parley/protocol'
import type { Model } from '../model/model.ts'
import { encodeMarks, markOf } from '../model/provider-marks.ts'
import type { TextKind } from './run-state.ts'

export interface ModelToolCall {
  /** The provider's own id: unique within the step at best. */
  readonly id: string
  readonly name: string
  /** As the model wrote it; usually JSON. */
  readonly input: string
  /** What the provider wants back with the call: see provider-marks.ts. */
  readonly marks?: string
}

type AssistantContent = Extract<LanguageModelV3Message, { role: 'assistant' }>['content']

export interface ModelFinish {
  /** `length`: the provider cut the answer at its output limit. */
  readonly reason: 'stop' | 'length' | 'tool-calls'
  readonly usage: Usage
  /** The model's output with the provider's metadata, for the next call of the same run. */
  readonly content: AssistantContent
}

type TextContent = Extract<AssistantContent[number], { type: TextKind }>

/** Deltas joined at a time. Appending each to the text would retain all of them as a deep rope of strings. */
const JOINED = 32

/** A text or reasoning part that is still growing. */
class OpenText {
  readonly part: TextContent
  #deltas: string[] = []

  constructor(part: TextContent) {
    this.part = part
  }

  add(delta: string): void {
    this.#deltas.push(delta)
    if (this.#deltas.length === JOINED) this.flush()
  }

  /** Moves all deltas into the part. */
  flush(): void {
    this.part.text += this.#deltas.join('')
    this.#deltas = []
  }
}

export class Answer {
  readonly #model: Model
  readonly #content: AssistantContent = []
  readonly #open = new Map<string, OpenText>()
  #last: OpenText | undefined
  #lastId = ''
  #calls = 0
  #waits = false
  /** The first half of a surrogate pair. */
  #half = ''
  /** The calls that were begun, by the provider's ids, each with the first half of a surrogate pair. */
  #inputs: Map<string, { readonly name: string; half: string }> | undefined

  constructor(model: Model) {
    this.#model = model
  }

  /**
   * @returns the complete characters, including the rest of the previous delta. Some providers cut between the halves of a
   * surrogate pair, and a half cannot be stored in UTF-8.
   */
  text(kind: TextKind, id: string, delta: string): string {
    const joined = this.#half === '' ? delta : this.#half + delta
    const half = endsInHalf(joined)
    this.#half = half ? joined.slice(-1) : ''
    const text = wellFormed(half ? joined.slice(0, -1) : joined)
    if (text === '') return text
    // Nearly every delta continues the last part.
    const continues = this.#last?.part.type === kind && this.#lastId === id
    if (!continues) {
      this.#last = this.#opened(kind, id)
      this.#lastId = id
    }
    this.#last?.add(text)
    return text
  }

  #opened(kind: TextKind, id: string): OpenText {
    const key = `${kind} ${id}`
    let open = this.#open.get(key)
    if (open === undefined) {
      open = new OpenText({ type: kind, text: '' })
      this.#open.set(key, open)
      this.#content.push(open.part)
    }
    return open
  }

  /** Keeps what the provider expects back. Hidden reasoning consists of nothing else. */
  addMark(kind: TextKind, id: string, metadata: SharedV3ProviderMetadata | undefined): void {
    const mark = markOf(kind, metadata)
    if (mark === undefined) return
    if (kind === 'text' && !this.#open.has(`${kind} ${id}`)) return
    const { part } = this.#opened(kind, id)
    part.providerOptions = merged(part.providerOptions, mark)
  }

  /** The call's place. Its input follows, but the complete call comes only with the end of the answer. */
  beginCall(id: string, name: string): void {
    this.#inputs ??= new Map()
    this.#inputs.set(id, { name: wellFormed(name), half: '' })
    this.#content.push({ type: 'tool-call', toolCallId: id, toolName: '', input: undefined })
  }

  /** @returns the next piece of a call's arguments; undefined if there is none, or the call was not begun */
  input(id: string, delta: string): { readonly name: string; readonly text: string } | undefined {
    const input = this.#inputs?.get(id)
    if (input === undefined) return undefined
    const joined = input.half + restoreNumbers(delta)
    const half = endsInHalf(joined)
    input.half = half ? joined.slice(-1) : ''
    const text = wellFormed(half ? joined.slice(0, -1) : joined)
    return text === '' ? undefined : { name: input.name, text }
  }

  /** A file that the model made. @param data as base64 */
  file(mediaType: string, data: string): void {
    this.#last = undefined
    this.#content.push({ type: 'file', mediaType, data })
  }

  /**
   * @param accept returns the call's id in the log
   * @param isOurs whether the run makes the call, and then calls the model again
   */
  async call(
    part: Extract<LanguageModelV3StreamPart, { type: 'tool-call' }>,
    accept: (call: ModelToolCall) => Promise<string>,
    isOurs = true,
  ): Promise<void> {
    const name = wellFormed(part.toolName)
    const input = wellFormed(restoreNumbers(part.input))
    const mark = markOf('call', part.providerMetadata)
    const options = mark === undefined ? {} : { providerOptions: mark }
    const made = {
      type: 'tool-call' as const,
      toolCallId: '',
      toolName: name,
      input: parseInput(input) ?? {},
      ...options,
    }
    const begun = this.#content.findIndex((other) => isBegun(other) && other.toolCallId === part.toolCallId)
    const at = begun < 0 ? this.#content.push(made) - 1 : begun
    for (const open of this.#open.values()) open.flush()
    const previous = this.#content.findLastIndex((other, place) => place < at && other.type === 'tool-call')
    const marks = encodeMarks(this.#model, this.#content.slice(previous + 1, at), made)
    const id = await accept({ id: part.toolCallId, name, input, ...(marks === undefined ? {} : { marks }) })
    this.#content[at] = { ...made, toolCallId: id }
    if (isOurs) this.#calls += 1
  }

  /** The model waits for people: the run calls it again after that. */
  waits(): void {
    this.#waits = true
  }

  finish(part: Extract<LanguageModelV3StreamPart, { type: 'finish' }>): ModelFinish {
    const { inputTokens, outputTokens } = part.usage
    const reasoning = outputTokens.reasoning
    const cacheWrite = inputTokens.cacheWrite ?? cacheWriteOf(part.usage.raw)
    const usage = {
      inputTokens: count(inputTokens.total),
      outputTokens: count(outputTokens.total),
      ...(reasoning === undefined || reasoning === 0 ? {} : { reasoningTokens: count(reasoning) }),
      ...(inputTokens.cacheRead ? { cachedTokens: count(inputTokens.cacheRead) } : {}),
      ...(cacheWrite ? { cacheWriteTokens: count(cacheWrite) } : {}),
    }
    // Some servers report `stop` although the model called tools; the calls decide.
    const reason =
      this.#calls > 0 || this.#waits ? 'tool-calls' : part.finishReason.unified === 'length' ? 'length' : 'stop'
    for (const open of this.#open.values()) open.flush()
    return { reason, usage, content: this.#content.filter((other) => !isBegun(other)) }
  }
}

/** Whether the part is the place of a call that has not come. */
function isBegun(part: AssistantContent[number]): part is Extract<AssistantContent[number], { type: 'tool-call' }> {
  return part.type === 'tool-call' && part.input === undefined
}

/** A provider's signature may come in pieces of its metadata, such as an id first. */
function merged(before: SharedV3ProviderMetadata | undefined, mark: Mark): SharedV3ProviderMetadata {
  const fields = Object.entries(mark).map(([name, more]) => [name, { ...before?.[name], ...more }])
  return { ...before, ...Object.fromEntries(fields) }
}

function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1)
  return last >= 0xd800 && last <= 0xdbff
}

/** @returns undefined if the input is not JSON, or beyond the limits of JSON from clients; `{}` for an empty input or `null`, which models write for a call without arguments */
export function parseInput(input: string): unknown {
  if (input.trim() === '') return {}
  try {
    // An escape such as \ud83d makes half a character even in well-formed JSON.
    return wellFormed<unknown>(jsonCodec.decode(input, { maxValues: LIMITS.values, exact: true })) ?? {}
  } catch {
    return undefined
  }
}

/** `@ai-sdk/openai-compatible` 2 passes the number on only within the usage as the server sent it. OpenRouter sends it. */
function cacheWriteOf(raw: LanguageModelV3Usage['raw']): number | undefined {
  const details = raw?.prompt_tokens_details as { readonly cache_write_tokens?: unknown } | null | undefined
  const tokens = details?.cache_write_tokens
  return typeof tokens === 'number' && Number.isSafeInteger(tokens) && tokens >= 0 ? tokens : undefined
}

function count(tokens: number | undefined): number {
  return tokens === undefined || !Number.isFinite(tokens) ? 0 : Math.max(0, Math.round(tokens))
}
