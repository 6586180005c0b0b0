// McpClient: one connection to an MCP server with the official client, in the server's era (2025-11-25 or 2026-07-28). It adds what
// that client lacks: limits on the size of answers, an error for a call whose stream broke, and tasks.
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
  StreamableHTTPClientTransport,
  type Tool,
} from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { asObject, roundNumbers } from '@parley/protocol'
import { z } from 'zod'
import { ToolFailure } from '../define-tool.ts'
import type { McpServerConfig } from './mcp-config.ts'

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

/** Bytes of one HTTP answer, and of one line of a stdio server. */
const ANSWER_BYTES = 4 * 1024 * 1024
const LINE_BYTES = 16 * 1024 * 1024
/** Milliseconds between two looks at a task, and between two subscriptions to changes. */
const POLL_MS = 1_000
const POLL_MAX_MS = 60_000
const LISTEN_AGAIN_MS = 5_000
/** Milliseconds that the official client waits for one answer: longer than any call of ours, whose signal ends it. */
const NO_TIMEOUT_MS = 2 ** 31 - 1
const MODERN = '2026-07-28'
const TASKS = 'io.modelcontextprotocol/tasks'
const ENDED = -1
const CLOSE_MS = 1_000

const Handle = z.looseObject({ taskId: z.string(), pollIntervalMs: z.number().optional() })
const Task = z.looseObject({
  status: z.string(),
  pollIntervalMs: z.number().optional(),
  result: z.looseObject({ content: z.array(z.unknown()).optional(), isError: z.boolean().optional() }).optional(),
  error: z.looseObject({ message: z.string() }).optional(),
})

export class McpClient {
  readonly #client: Client
  readonly #closing = new AbortController()

  private constructor(client: Client) {
    this.#client = client
  }

  /** @param signal aborts the handshake @throws an error of the transport or the official client */
  static async connect(options: McpClientOptions, signal: AbortSignal): Promise<McpClient> {
    const { server } = options
    if ('url' in server) return McpClient.#open(options, new HttpTransport(server.url, options.headers), 'auto', signal)
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
    transport: HttpTransport | StdioClientTransport,
    mode: 'auto' | 'legacy' | { pin: string },
    signal: AbortSignal,
  ): Promise<McpClient> {
    const client = new Client(
      { name: 'parley', version: options.version },
      {
        versionNegotiation: { mode },
        capabilities: { extensions: { [TASKS]: {} } },
        inputRequired: { autoFulfill: false },
        listChanged: { tools: { autoRefresh: false, onChanged: () => options.changed() } },
      },
    )
    const self = new McpClient(client)
    client.onclose = () => {
      self.#closing.abort()
      options.closed()
    }
    await client.connect(transport, { timeout: options.connectMs, signal })
    const { onmessage } = transport
    transport.onmessage = (message: JSONRPCMessage) => onmessage?.(withHandle(message))
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
   * @param signal aborts the call, also at the server
   * @throws ToolFailure if the tool asks for input; an error of the transport or the official client
   */
  async call({ name, inputSchema }: Tool, input: unknown, signal: AbortSignal): Promise<CallToolResult> {
    const params = { name, arguments: roundNumbers(asObject(input)) as Record<string, unknown> }
    const options = {
      signal,
      timeout: NO_TIMEOUT_MS,
      // Without its output schema: the result of a tool that has run is worth more, and the check would block the event loop.
      toolDefinition: { name, inputSchema },
      // Without it, the server may not stream, and an idle connection could be cut.
      onprogress: () => undefined,
    }
    const result = await this.#client.callTool(params, options)
    const handle = Handle.safeParse(result._meta?.[TASKS])
    return handle.success ? this.#poll(handle.data, signal) : result
  }

  async close(): Promise<void> {
    this.#closing.abort()
    const { transport } = this.#client
    // Tells a server of the older version that the session has ended, if it listens.
    if (transport instanceof HttpTransport)
      await Promise.race([transport.terminateSession(), sleep(CLOSE_MS, undefined, { ref: false })]).catch(ignore)
    await this.#client.close()
  }

  async #poll(handle: z.infer<typeof Handle>, signal: AbortSignal): Promise<CallToolResult> {
    const { taskId } = handle
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
        if (task.status === 'input_required') throw new ToolFailure(ASKS)
        if (task.status === 'cancelled') throw new ToolFailure('The MCP server cancelled the call.')
        if (task.status === 'failed') throw new ToolFailure(task.error?.message ?? 'The call failed.')
        if (task.status === 'completed') return { content: [], ...task.result } as CallToolResult
        wait = task.pollIntervalMs
      }
    } catch (error) {
      // The server may ignore it, and nobody waits for it.
      if (!isAnswer(error) && !this.#closing.signal.aborted)
        this.#client.request({ method: 'tasks/cancel', params: { taskId } }, z.looseObject({})).catch(ignore)
      throw error
    }
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

type SendOptions = Parameters<StreamableHTTPClientTransport['send']>[1]

/** Adds to the official transport a limit on answers, and an error for each request whose stream ended without an answer. */
class HttpTransport extends StreamableHTTPClientTransport {
  readonly #large: Set<string | number>

  constructor(url: string, headers: Readonly<Record<string, string>>) {
    const large = new Set<string | number>()
    super(new URL(url), { requestInit: { headers }, fetch: (input, init) => limitedFetch(input, init, large) })
    this.#large = large
  }

  override async send(message: JSONRPCMessage, options?: SendOptions): Promise<void> {
    if (!('method' in message && 'id' in message) || options?.onRequestStreamEnd !== undefined)
      return super.send(message, options)
    const { id } = message
    const onRequestStreamEnd = (): void => {
      const text = this.#large.delete(id) ? TOO_LARGE : LOST
      // The official client ignores it if the answer came before.
      this.onmessage?.({ jsonrpc: '2.0', id, error: { code: ENDED, message: text } })
    }
    return super.send(message, { ...options, onRequestStreamEnd })
  }
}

/** Breaks off an answer to a request that is too large. The official client follows redirects, only within the origin. */
async function limitedFetch(
  input: string | URL,
  init: RequestInit | undefined,
  large: Set<string | number>,
): Promise<Response> {
  const response = await fetch(input, init)
  if (init?.method !== 'POST' || typeof init.body !== 'string' || response.body === null) return response
  const { id, method } = JSON.parse(init.body) as { id?: string | number; method?: string }
  if (id === undefined || method === 'subscriptions/listen') return response
  let bytes = 0
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength
        if (bytes <= ANSWER_BYTES) return controller.enqueue(chunk)
        large.add(id)
        controller.error(new ToolFailure(TOO_LARGE))
      },
    }),
  )
  const { status, statusText, headers } = response
  return new Response(counted, { status, statusText, headers })
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
  if (isQuestion(error)) return new ToolFailure(ASKS)
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
  if (error instanceof ToolFailure) return 'its answer is too large'
  if (isAnswer(error)) return `it answers with error ${(error as ProtocolError).code}`
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string' && cause.code !== 'ERA_NEGOTIATION_FAILED') return cause.code
  }
  return 'the connection failed'
}

/** The server no longer knows the session of the older version, so it did nothing. */
export function isUnknownSession(error: unknown): boolean {
  return error instanceof SdkHttpError && error.status === 404
}

/** The server's own error, not one of the connection. */
function isAnswer(error: unknown): boolean {
  return error instanceof ProtocolError && error.code !== ENDED
}

function isQuestion(error: unknown): boolean {
  if (error instanceof MissingRequiredClientCapabilityError) return 'elicitation' in error.requiredCapabilities
  return error instanceof SdkError && error.code === SdkErrorCode.UnsupportedResultType
}

const ignore = (): undefined => undefined
/** There was no connection, so the tool did not run. */
const UNSENT = new Set(
  'ECONNREFUSED ENOTFOUND EAI_AGAIN EHOSTUNREACH ENETUNREACH UND_ERR_CONNECT_TIMEOUT NOT_CONNECTED'.split(' '),
)
const ASKS = 'The tool asks for input from a person. This server cannot pass such questions on.'
const TOO_LARGE = `The answer of the MCP server is larger than ${ANSWER_BYTES} bytes.`
const LOST = 'The connection to the MCP server broke during the call. The tool may have taken effect.'
