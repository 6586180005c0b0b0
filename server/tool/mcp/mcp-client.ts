// McpClient: one connection to an MCP server with the official client, in the server's era (2025-11-25 or 2026-07-28). It adds what
// that client lacks: tasks, and the call to which a question belongs.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type CallToolResult,
  Client,
  type JSONRPCMessage,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
  type Tool,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { asObject, cutText, OUTPUT_LIMITS, roundNumbers } from '@parley/protocol'
import { z } from 'zod'
import { type ToolContext, ToolFailure } from '../define-tool.ts'
import { type Asking, AskingCalls, askedBy, OPENS_LINK } from './elicitation.ts'
import type { McpServerConfig } from './mcp-config.ts'
import { ENDED, LOST, McpHttpTransport, TOO_LARGE } from './mcp-http.ts'

export interface McpClientOptions {
  readonly server: McpServerConfig
  /** With the values of claims. */
  readonly headers: Readonly<Record<string, string>>
  readonly version: string
  /** Milliseconds for the handshake. */
  readonly connectMs: number
  /** The server's list of tools may have changed. */
  changed(): void
  /** The connection is closed. */
  closed(): void
}

/** Bytes of one line of a stdio server. */
const LINE_BYTES = 16 * 1024 * 1024
/** Milliseconds between two looks at a task, and between two subscriptions to changes. */
const POLL_MS = 1_000
const POLL_MAX_MS = 60_000
const LISTEN_AGAIN_MS = 5_000
/** Milliseconds that the official client waits for one answer: longer than any call of ours, whose signal ends it. */
const NO_TIMEOUT_MS = 2 ** 31 - 1
const MODERN = '2026-07-28'
const TASKS = 'io.modelcontextprotocol/tasks'
const CLOSE_MS = 1_000

const Handle = z.looseObject({ taskId: z.string(), pollIntervalMs: z.number().optional() })
const Task = z.looseObject({
  status: z.string(),
  pollIntervalMs: z.number().optional(),
  statusMessage: z.string().optional(),
  result: z.looseObject({ content: z.array(z.unknown()).optional(), isError: z.boolean().optional() }).optional(),
  error: z.looseObject({ message: z.string() }).optional(),
  inputRequests: z.record(z.string(), z.looseObject({ method: z.string(), params: z.unknown() })).optional(),
})

export type CallingContext = Asking & Pick<ToolContext, 'signal' | 'progress'>

export class McpClient {
  readonly #client: Client
  readonly #closing = new AbortController()
  readonly #calls = new AskingCalls()

  private constructor(client: Client) {
    this.#client = client
  }

  /** @param signal aborts the handshake @throws an error of the transport or the official client */
  static async connect(options: McpClientOptions, signal: AbortSignal): Promise<McpClient> {
    const { server } = options
    if ('url' in server)
      return McpClient.#open(options, new McpHttpTransport(server.url, options.headers), 'auto', signal)
    try {
      // `auto` starts the program twice. Nearly all programs speak the older version, too.
      return await McpClient.#open(options, stdioTransport(server), 'legacy', signal)
    } catch (error) {
      if (!(error instanceof ProtocolError) || signal.aborted) throw error
      return McpClient.#open(options, stdioTransport(server), { pin: MODERN }, signal)
    }
  }

  static async #open(
    options: McpClientOptions,
    transport: McpHttpTransport | StdioClientTransport,
    mode: 'auto' | 'legacy' | { pin: string },
    signal: AbortSignal,
  ): Promise<McpClient> {
    const client = new Client(
      { name: 'parley', version: options.version },
      {
        versionNegotiation: { mode },
        // Not links to open: every member of the session could open them in the sender's place.
        capabilities: { elicitation: { form: {} }, extensions: { [TASKS]: {} } },
        listChanged: { tools: { autoRefresh: false, onChanged: () => options.changed() } },
      },
    )
    const self = new McpClient(client)
    client.setRequestHandler('elicitation/create', ({ params }) => self.#calls.ask(params))
    client.onclose = () => {
      self.#closing.abort()
      options.closed()
    }
    await client.connect(transport, { timeout: options.connectMs, signal })
    const { onmessage } = transport
    transport.onmessage = (message: JSONRPCMessage) => {
      if (!('method' in message) && message.id !== undefined && transport instanceof McpHttpTransport)
        transport.answered(message.id)
      onmessage?.(withHandle(message))
    }
    void self.#listenAgain(options.changed)
    return self
  }

  get era(): string {
    return this.#client.getProtocolEra() ?? 'unknown'
  }

  async list(signal: AbortSignal): Promise<readonly Tool[]> {
    // The official client would write to the console.
    if (this.#client.getServerCapabilities()?.tools === undefined) return []
    return (await this.#client.listTools(undefined, { cacheMode: 'refresh', signal, timeout: NO_TIMEOUT_MS })).tools
  }

  /**
   * @param context its signal aborts the call, also at the server
   * @throws ToolFailure, an error of the transport or the official client
   */
  async call({ name, inputSchema }: Tool, input: unknown, context: CallingContext): Promise<CallToolResult> {
    const { signal } = context
    const params = { name, arguments: roundNumbers(asObject(input)) as Record<string, unknown> }
    const options = {
      signal,
      timeout: NO_TIMEOUT_MS,
      // Without its output schema: the result of a tool that has run is worth more, and the check would block the event loop.
      toolDefinition: { name, inputSchema },
      // Without it, the server may not stream, and an idle connection could be cut.
      onprogress: (progress: Progress) => showProgress(context, progress),
    }
    const result = await this.#calls.during(context, () => this.#client.callTool(params, options))
    const handle = Handle.safeParse(result._meta?.[TASKS])
    return handle.success ? this.#poll(handle.data, context) : result
  }

  async close(): Promise<void> {
    this.#closing.abort()
    const { transport } = this.#client
    // Tells a server of the older version that the session has ended, if it listens.
    if (transport instanceof McpHttpTransport)
      await Promise.race([transport.terminateSession(), sleep(CLOSE_MS, undefined, { ref: false })]).catch(ignore)
    await this.#client.close()
  }

  async #poll(handle: z.infer<typeof Handle>, context: CallingContext): Promise<CallToolResult> {
    const { taskId } = handle
    const { signal } = context
    const answered = new Set<string>()
    const options = { signal, timeout: NO_TIMEOUT_MS }
    let wait = handle.pollIntervalMs
    try {
      for (;;) {
        await sleep(Math.min(Math.max(wait ?? POLL_MS, 50), POLL_MAX_MS), undefined, { signal })
        const request = this.#client.request({ method: 'tasks/get', params: { taskId } }, Task, options)
        const task = await request.catch((error: unknown) => {
          // The task goes its way while the server is away for a moment.
          if (signal.aborted || isAnswer(error)) throw error
          return { status: 'unknown' } as z.infer<typeof Task>
        })
        if (task.status === 'input_required') await this.#answer(taskId, task, context, answered)
        if (task.status === 'cancelled') throw new ToolFailure('The MCP server cancelled the call.')
        if (task.status === 'failed') throw new ToolFailure(task.error?.message ?? 'The call failed.')
        if (task.status === 'completed') return { content: [], ...task.result } as CallToolResult
        if (task.statusMessage !== undefined) showProgress(context, { message: task.statusMessage })
        wait = task.pollIntervalMs
      }
    } catch (error) {
      // The server may ignore it, and nobody waits for it.
      if (!isAnswer(error) && !this.#closing.signal.aborted)
        this.#client.request({ method: 'tasks/cancel', params: { taskId } }, z.looseObject({})).catch(ignore)
      throw error
    }
  }

  /** Answers what a task asks. @param answered the keys of what it asked before */
  async #answer(
    taskId: string,
    { inputRequests = {} }: z.infer<typeof Task>,
    context: CallingContext,
    answered: Set<string>,
  ): Promise<void> {
    const inputResponses: Record<string, unknown> = {}
    for (const [key, { method, params }] of Object.entries(inputRequests)) {
      if (answered.has(key)) continue
      if (method !== 'elicitation/create')
        throw new ToolFailure(`The task needs ${cutText(method, 64)}, which this server does not offer.`)
      inputResponses[key] = await askedBy(context, params)
      answered.add(key)
    }
    if (Object.keys(inputResponses).length === 0) return
    const options = { signal: context.signal, timeout: NO_TIMEOUT_MS }
    await this.#client.request(
      { method: 'tasks/update', params: { taskId, inputResponses } },
      z.looseObject({}),
      options,
    )
  }

  /** In the newer version changes come over a subscription, which ends with its connection. */
  async #listenAgain(changed: () => void): Promise<void> {
    let subscription = this.#client.autoOpenedSubscription
    while (subscription !== undefined) {
      if ((await subscription.closed) === 'local' || this.#closing.signal.aborted) return
      subscription = undefined
      while (subscription === undefined) {
        try {
          await sleep(LISTEN_AGAIN_MS, undefined, { signal: this.#closing.signal, ref: false })
          subscription = await this.#client.listen({ toolsListChanged: true })
          changed()
        } catch (error) {
          if (this.#closing.signal.aborted || isAnswer(error)) return
        }
      }
    }
  }
}

interface Progress {
  readonly progress?: number
  readonly total?: number | undefined
  readonly message?: string | undefined
}

function showProgress(context: CallingContext, { progress, total, message }: Progress): void {
  // The official client's own remark, between the rounds of a question.
  if (message?.startsWith('Fulfilling input required by') === true) return
  const isCount = progress !== undefined && progress >= 0
  if (message === undefined && !isCount) return
  context.progress({
    ...(message === undefined ? {} : { text: cutText(message, OUTPUT_LIMITS.progressChars) }),
    ...(isCount ? { done: progress } : {}),
    ...(isCount && total !== undefined && total >= 0 ? { total } : {}),
  })
}

function stdioTransport(server: Extract<McpServerConfig, { command: string }>): StdioClientTransport {
  const { command, args, env, cwd } = server
  return new StdioClientTransport({
    command,
    ...(args === undefined ? {} : { args }),
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
    maxBufferSize: LINE_BYTES,
  })
}

/** The official client refuses the handle of a task, so it gets an empty result that carries the handle. */
function withHandle(message: JSONRPCMessage): JSONRPCMessage {
  if (!('result' in message) || message.result.resultType !== 'task') return message
  const { taskId, pollIntervalMs } = message.result
  const handle = { taskId, ...(typeof pollIntervalMs === 'number' ? { pollIntervalMs } : {}) }
  return { ...message, result: { resultType: 'complete', content: [], _meta: { [TASKS]: handle } } }
}

/** The error of a call, for the model: the server's own error message, or what happened to the connection. */
export function failureOf(error: unknown): ToolFailure {
  if (error instanceof ToolFailure) return error
  if (error instanceof ProtocolError && error.code === ENDED) return new ToolFailure(error.message)
  if (error instanceof UrlElicitationRequiredError || needsLink(error)) return new ToolFailure(OPENS_LINK)
  if (isUnmet(error))
    return new ToolFailure('The tool needs something else than a form from its user, which this server does not offer.')
  if (error instanceof ProtocolError) return new ToolFailure(`The MCP server refused the call: ${error.message}`)
  const isUnsent = error instanceof SdkHttpError ? isRefused(error.status) : UNSENT.has(reasonOf(error))
  return new ToolFailure(isUnsent ? `The MCP server is not available: ${reasonOf(error)}.` : LOST)
}

/** Whether the server did not take the request: a proxy's 502 or 504 may come after the tool has begun. */
function isRefused(status: number): boolean {
  return status < 500 || status === 503
}

/** Why there is no connection. It has nothing of the server's answers, which may contain secrets. */
export function reasonOf(error: unknown): string {
  if (error instanceof SdkHttpError) return `it answers with HTTP status ${error.status}`
  const isTooLarge =
    error instanceof ToolFailure || (error instanceof ProtocolError && error.message.endsWith(TOO_LARGE))
  if (isTooLarge) return 'its answer is too large'
  if (isAnswer(error)) return `it answers with error ${(error as ProtocolError).code}`
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string' && cause.code !== 'ERA_NEGOTIATION_FAILED') return cause.code
  }
  return 'the connection failed'
}

/**
 * Whether the server may no longer know the session, or the version, of the connection: it refused the request, so it did nothing.
 * `maybe`: other requests are refused in this way, too.
 */
export function isForgotten(error: unknown): 'yes' | 'maybe' | 'no' {
  if (error instanceof ProtocolError) return VERSION_CODES.has(error.code) ? 'maybe' : 'no'
  if (!(error instanceof SdkHttpError)) return 'no'
  if (error.status === 404) return 'yes'
  return error.status === 400 || error.status === 405 ? 'maybe' : 'no'
}

/** HeaderMismatch and UnsupportedProtocolVersion of 2026-07-28. */
const VERSION_CODES: ReadonlySet<number> = new Set([-32020, -32022])

/** The server's own error, not one of the connection. */
function isAnswer(error: unknown): boolean {
  return error instanceof ProtocolError && error.code !== ENDED
}

/** Forms are declared, so the other kind of question is missing. */
function needsLink(error: unknown): boolean {
  return error instanceof MissingRequiredClientCapabilityError && 'elicitation' in error.requiredCapabilities
}

/** The tool needs sampling, a list of roots, or questions without end. */
function isUnmet(error: unknown): boolean {
  if (error instanceof MissingRequiredClientCapabilityError) return true
  return error instanceof SdkError && UNMET.has(error.code)
}

const UNMET: ReadonlySet<string> = new Set([
  SdkErrorCode.UnsupportedResultType,
  SdkErrorCode.CapabilityNotSupported,
  SdkErrorCode.InputRequiredRoundsExceeded,
])
const ignore = (): undefined => undefined
/** There was no connection, so the tool did not run. */
const UNSENT = new Set(
  'ECONNREFUSED ENOTFOUND EAI_AGAIN EHOSTUNREACH ENETUNREACH UND_ERR_CONNECT_TIMEOUT NOT_CONNECTED'.split(' '),
)
