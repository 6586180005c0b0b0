// AgentModel: a remote agent behind AG-UI as a model: one request is one step of a run. The run's driver so gives both kinds of agents
// the same limits, approvals, tools, cancel and take-over.
import type {
  JSONValue,
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3StreamPart,
  SharedV3Warning,
} from '@ai-sdk/provider'
import { makeId } from '@parley/protocol'
import { EventParser } from '../event-parser.ts'
import type { Model } from '../model.ts'
import { ProviderStreamError } from '../provider-failure.ts'
import { AgentAnswer } from './agent-answer.ts'
import { readAgentEvent } from './agent-event.ts'
import { type AgentMessage, agentMessages, agentTools } from './agent-input.ts'
import type { AgentPart, PersonAnswer } from './agent-part.ts'
import { AgentState } from './agent-state.ts'

export interface AgentModelOptions {
  /** The agent's name in the configuration. */
  readonly name: string
  readonly url: string
  /** The headers of one request. @throws ProviderStreamError provider_unauthenticated if a claim is missing */
  readonly headers: () => Promise<Readonly<Record<string, string>>>
  /** Milliseconds without any sign of the agent. */
  readonly timeoutMs?: number | undefined
  readonly fetch?: typeof fetch | undefined
  /** Whether `fetch` sends requests through a relay. */
  readonly relayed?: boolean | undefined
}

/** What a run tells the agent besides the prompt and the tools. */
export interface AgentRequest {
  readonly threadId: string
  readonly state: unknown
  /** The answers to what the agent asked people. */
  readonly resume: readonly PersonAnswer[]
  /** The agent's ids of the calls that these answers are about. The agent makes them only now, whatever the log says. */
  readonly pending: readonly string[]
  /** The answers, as LangGraph takes them without the protocol's outcome. */
  readonly command?: unknown
  /** An answer is read again whose first state is unknown. */
  readonly isStateLost?: boolean
}

/** The version that tells servers of 1.0 what they may send. Those of 0.0.x ignore it. */
const VERSION = '1.0'
/** UTF-16 code units of one event. */
const MAX_EVENT = 4 * 1024 * 1024
/** Bytes of one answer. */
const MAX_ANSWER = 64 * 1024 * 1024
/** An agent may think longer than a model about its first words, and between two events a tool of its own may run. */
const TIMEOUT_MS = 120_000
const CONTEXT_TOKENS = 1_000_000

/** What a request to an agent cannot say. */
const OPTIONS = [
  'temperature',
  'topP',
  'presencePenalty',
  'frequencyPenalty',
  'stopSequences',
  'seed',
  'responseFormat',
] as const

export function agentModelId(name: string): string {
  return `agui:${name}`
}

export function agentModel(options: AgentModelOptions): Model {
  const { name, url, timeoutMs = TIMEOUT_MS } = options
  const language: LanguageModelV3 = {
    specificationVersion: 'v3',
    provider: 'agui',
    modelId: name,
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('Remote agents only stream.')),
    async doStream(call) {
      const { request, answer } = prepared(call)
      const unsupported = OPTIONS.filter((feature) => call[feature] !== undefined)
      const warnings = unsupported.map((feature) => ({ type: 'unsupported' as const, feature }))
      const response = await sent(options, request, call)
      const source = new AgentStream(response.body as ReadableStream<Uint8Array>, answer, warnings)
      return { stream: new ReadableStream(source, { highWaterMark: 0 }) }
    },
  }
  return {
    id: agentModelId(name),
    language,
    prefill: 'none',
    contextTokens: CONTEXT_TOKENS,
    secrets: [new URL(url).host, new URL(url).hostname],
    timeouts: { firstTokenMs: timeoutMs, betweenTokensMs: timeoutMs },
    remote: true,
    ...(options.relayed === true ? { relayed: true as const } : {}),
  }
}

function prepared({ prompt, tools = [], providerOptions }: LanguageModelV3CallOptions) {
  const { threadId, state, resume, pending, command, isStateLost } = (providerOptions?.agui ??
    {}) as unknown as AgentRequest
  const functions = tools.filter((tool) => tool.type === 'function')
  const messages = agentMessages(prompt, new Set(pending))
  const request = {
    threadId,
    runId: makeId('run'),
    protocolVersion: VERSION,
    state,
    messages,
    tools: agentTools(functions),
    context: [],
    forwardedProps: command === undefined ? {} : { command },
    ...(resume.length === 0 ? {} : { resume }),
  }
  const answer = new AgentAnswer({
    offered: new Set(functions.map((tool) => tool.name)),
    sent: idsIn(messages),
    pending: new Set(pending),
    state: new AgentState(state, isStateLost),
    now: () => performance.now(),
  })
  return { request, answer }
}

/** @throws ProviderStreamError if the agent does not answer with an event stream */
/** The ids of the messages, and of their calls. */
function idsIn(messages: readonly AgentMessage[]): ReadonlySet<string> {
  return new Set(
    messages.flatMap((message) => [
      message.id,
      ...('toolCalls' in message ? (message.toolCalls ?? []).map((call) => call.id) : []),
    ]),
  )
}

async function sent(
  { url, headers, fetch = globalThis.fetch }: AgentModelOptions,
  request: object,
  { abortSignal: signal, headers: own = {} }: LanguageModelV3CallOptions,
): Promise<Response> {
  const all = new Headers(await headers())
  for (const [name, value] of Object.entries(own)) if (value !== undefined) all.set(name, value)
  all.set('content-type', 'application/json')
  all.set('accept', 'text/event-stream')
  const response = await fetch(url, {
    method: 'POST',
    headers: all,
    body: JSON.stringify(request),
    // A redirect would take the credentials to another address.
    redirect: 'manual',
    ...(signal === undefined ? {} : { signal }),
  })
  const type = response.headers.get('content-type') ?? ''
  if (response.status === 200 && response.body !== null && !OTHER_TYPES.test(type)) return response
  // Its text may be anything, and may be endless.
  response.body?.cancel().catch(() => undefined)
  throw refusal(response, type)
}

/** A page, a document, or AG-UI's binary form. */
const OTHER_TYPES = /^(text\/html|application\/(.+\+)?json|application\/vnd\.ag-ui)/i

function refusal({ status, headers }: Response, type: string): ProviderStreamError {
  if (status === 200) {
    const what = type.split(';')[0]?.trim().slice(0, 64)
    return new ProviderStreamError(
      'provider_garbage',
      `The remote agent answers with ${what}, not with an event stream.`,
    )
  }
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  const wait = Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1_000 } : {}
  const message = `The remote agent answers with HTTP status ${status}.`
  // The smallest status that run.ended may have is 400.
  const details = { retryable: false, ...(status >= 400 && status < 600 ? { status } : {}) }
  if (status === 401 || status === 403) return new ProviderStreamError('provider_unauthenticated', message, details)
  if (status === 429)
    return new ProviderStreamError('provider_rate_limited', message, { ...details, ...wait, retryable: true })
  // Only this one says that the agent has not begun.
  return new ProviderStreamError('provider_error', message, { ...details, ...wait, retryable: status === 503 })
}

type Controller = ReadableStreamDefaultController<LanguageModelV3StreamPart>

class AgentStream {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #answer: AgentAnswer
  readonly #parser = new EventParser(MAX_EVENT)
  readonly #warnings: readonly SharedV3Warning[]
  #bytes = 0
  #events = 0

  constructor(body: ReadableStream<Uint8Array>, answer: AgentAnswer, warnings: readonly SharedV3Warning[]) {
    this.#reader = body.getReader()
    this.#answer = answer
    this.#warnings = warnings
  }

  start(controller: Controller): void {
    controller.enqueue({ type: 'stream-start', warnings: [...this.#warnings] })
  }

  async pull(controller: Controller): Promise<void> {
    try {
      const { done, value } = await this.#reader.read()
      this.#bytes += value?.length ?? 0
      const last = this.#pass(done ? this.#parser.end() : this.#parser.push(value), controller)
      if (last) this.#close(controller)
      else if (done) throw this.#events === 0 ? nothing() : cut()
      else if (this.#bytes > MAX_ANSWER) throw new ProviderStreamError('provider_garbage', TOO_LONG)
    } catch (error) {
      controller.enqueue({ type: 'error', error: asFailure(error) })
      this.#close(controller)
    }
  }

  async cancel(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason)
  }

  /** @returns whether the answer is over */
  #pass(events: ReturnType<EventParser['push']>, controller: Controller): boolean {
    let passed = 0
    for (const { data } of events) {
      const event = readAgentEvent(data)
      this.#events += 1
      for (const part of event === undefined ? [] : this.#answer.take(event)) {
        controller.enqueue(part)
        passed += 1
        if (part.type === 'finish' || part.type === 'error') return true
      }
    }
    if (passed === 0) controller.enqueue({ type: 'raw', rawValue: { type: 'alive' } satisfies AgentPart })
    return false
  }

  /** Closes the request: nothing after the end matters. */
  #close(controller: Controller): void {
    controller.close()
    this.#reader.cancel().catch(() => undefined)
  }
}

function asFailure(error: unknown): unknown {
  return error instanceof ProviderStreamError ? error : (error ?? cut())
}

function cut(): ProviderStreamError {
  return new ProviderStreamError('provider_disconnected', 'The remote agent ended its answer without finishing it.')
}

function nothing(): ProviderStreamError {
  return new ProviderStreamError('provider_garbage', 'The remote agent answered without any event.')
}

const TOO_LONG = `The remote agent sent more than ${MAX_ANSWER} bytes.`

/** For the options of a model call. */
export function asOptions(request: AgentRequest): { readonly agui: Record<string, JSONValue> } {
  return { agui: request as unknown as Record<string, JSONValue> }
}
