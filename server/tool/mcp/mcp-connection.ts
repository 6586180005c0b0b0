// McpConnection: the connection to one MCP server with one set of headers, and the tools that the server lists. It opens when it is
// needed, opens again after a loss with bounded back-off, and keeps the last list meanwhile, so that calls fail with a reason.
//
//   idle ── opening ── open ── lost ── opening …
//             └─ failed ── (back-off) ── opening …
import { setTimeout as sleep } from 'node:timers/promises'
import type { CallToolResult, Tool } from '@modelcontextprotocol/client'
import { cutText, LIMITS, ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import { type ServerTool, type ToolContext, ToolFailure } from '../define-tool.ts'
import { schemaPool } from '../schema-pool.ts'
import type { McpClient } from './mcp-client.ts'
import { type McpServerConfig, toolNameOf } from './mcp-config.ts'

export interface McpConnectionOptions {
  readonly name: string
  readonly server: McpServerConfig
  /** With the values of claims. */
  readonly headers: Readonly<Record<string, string>>
  /** Of this program. */
  readonly version: string
  /** It reconnects without being asked. */
  readonly keep: boolean
  readonly logger: Logger
  readonly connectMs?: number
  /** The first and the longest wait (ms) before it opens again. */
  readonly backoffMs?: readonly [number, number]
}

/** Milliseconds. */
const CONNECT_MS = 10_000
/** A program may have to be downloaded first (`npx`). */
const START_MS = 60_000
const BACKOFF_MS = [1_000, 60_000] as const
/** A connection that lasted this long was a good one. */
const STABLE_MS = 30_000
const CALL_MS = 60_000
const CLOSE_MS = 1_000
const LIST_AGE_MS = 5 * 60_000
/** Of one server. Providers accept 128 tools in all. */
const MAX_TOOLS = 128
/** OpenAI: "string too long. Expected a string with maximum length 1024". */
const MAX_DESCRIPTION = 1_024

export class McpConnection {
  readonly #options: McpConnectionOptions
  readonly #closing = new AbortController()
  #client: McpClient | undefined
  #opening: Promise<void> | undefined
  #tools: ReadonlyMap<string, ServerTool> = new Map()
  #listedAt = Number.NEGATIVE_INFINITY
  #listing: Promise<void> | undefined
  /** The list has changed since it was asked for. */
  #stale = false
  #openedAt = 0
  #failures = 0
  #retryAt = 0
  #problem = 'it is starting'
  /** Calls that run or connect now, and when the last one began or ended. */
  calls = 0
  usedAt = performance.now()

  constructor(options: McpConnectionOptions) {
    this.#options = options
  }

  /** The tools of the last list, by our names. */
  get tools(): ReadonlyMap<string, ServerTool> {
    return this.#tools
  }

  /** Why calls fail now; undefined if it is open. */
  get problem(): string | undefined {
    if (this.#client !== undefined) return undefined
    return `The MCP server ${this.#options.name} is not available: ${this.#problem}.`
  }

  /** Opens the connection, unless it failed a moment ago, and renews an old list. Never rejects. */
  async ready(): Promise<void> {
    this.usedAt = performance.now()
    if (this.#client !== undefined) {
      if (performance.now() - this.#listedAt > LIST_AGE_MS) this.#renew()
    } else if (performance.now() >= this.#retryAt) {
      this.calls += 1
      await this.#open()
      this.calls -= 1
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#client?.close()
    // A handshake that does not react must not delay the node's stop.
    await Promise.race([this.#opening, sleep(CLOSE_MS, undefined, { ref: false })])
  }

  async #open(): Promise<void> {
    this.#opening ??= this.#tryOpen().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #tryOpen(): Promise<void> {
    const { name, server, headers, version, logger } = this.#options
    const connectMs = this.#connectMs
    const late = AbortSignal.timeout(connectMs)
    const signal = AbortSignal.any([late, this.#closing.signal])
    let client: McpClient | undefined
    let reasonOf = (_: unknown): string => 'its client could not be loaded'
    try {
      // The library is loaded only by servers that use it.
      const library = await import('./mcp-client.ts')
      reasonOf = library.reasonOf
      const events = { changed: () => this.#renew(), closed: () => this.#lost(client) }
      client = await library.McpClient.connect({ server, headers, version, connectMs, ...events }, signal)
      await this.#list(client, signal).catch((error: unknown) => {
        if (!(error instanceof ReplyError) || this.#tools.size === 0) throw error
        this.#keepList(error)
      })
      this.#client = client
      this.#openedAt = performance.now()
      logger.info({ server: name, era: client.era, tools: this.#tools.size }, 'connected to an MCP server')
    } catch (error) {
      if (this.#closing.signal.aborted) {
        await client?.close()
        return
      }
      this.#problem = late.aborted ? `it did not answer within ${connectMs} ms` : reasonOf(error)
      this.#again()
      logger.warn({ server: name, reason: this.#problem, retryMs: this.#waitMs() }, 'an MCP server is not available')
      await client?.close()
    }
    if (this.#stale) this.#renew()
  }

  #lost(client: McpClient | undefined): void {
    if (client === undefined || this.#client !== client) return
    this.#client = undefined
    if (this.#closing.signal.aborted) return
    if (performance.now() - this.#openedAt > STABLE_MS) this.#failures = 0
    this.#problem = 'it closed the connection'
    this.#again()
    this.#options.logger.warn(
      { server: this.#options.name, reason: this.#problem, retryMs: this.#waitMs() },
      'an MCP server is not available',
    )
  }

  /** Plans the next attempt. */
  #again(): void {
    const [first, longest] = this.#options.backoffMs ?? BACKOFF_MS
    const wait = Math.min(longest, first * 2 ** this.#failures) * (0.75 + Math.random() / 4)
    this.#failures = Math.min(this.#failures + 1, 30)
    this.#retryAt = performance.now() + wait
    if (!this.#options.keep) return
    sleep(wait, undefined, { signal: this.#closing.signal, ref: false }).then(
      () => this.#open(),
      // Closed.
      () => undefined,
    )
  }

  #waitMs(): number {
    return Math.round(Math.max(0, this.#retryAt - performance.now()))
  }

  /** Lists the tools again, in the background. */
  #renew(): void {
    const client = this.#client
    this.#stale = client === undefined || this.#listing !== undefined
    if (client === undefined || this.#listing !== undefined) return
    const signal = AbortSignal.any([AbortSignal.timeout(this.#connectMs), this.#closing.signal])
    this.#listing = this.#list(client, signal)
      .catch((error: unknown) => this.#keepList(error))
      .finally(() => {
        this.#listing = undefined
        if (this.#stale) this.#renew()
      })
  }

  /** The previous list stays: the server failed, or its schemas cannot be checked at the moment. */
  #keepList(error: unknown): void {
    const { name, logger } = this.#options
    if (this.#closing.signal.aborted) return
    logger.warn({ server: name, code: codeOf(error) }, 'tools of an MCP server not listed')
  }

  async #list(client: McpClient, signal: AbortSignal): Promise<void> {
    const { name, server, logger } = this.#options
    this.#listedAt = performance.now()
    const all = await client.list(signal)
    const allowed = server.tools
    const wanted = allowed === undefined ? all : all.filter((tool) => allowed.includes(tool.name))
    const tools = new Map<string, ServerTool>()
    let bytes = 0
    let invalid = 0
    for (const tool of wanted) {
      const size = JSON.stringify([tool.inputSchema, tool.description]).length
      if (tools.size >= MAX_TOOLS || bytes + size > LIMITS.toolBytes) continue
      const check = await schemaPool.checkSchema(tool.inputSchema, { session: this.#payer })
      if (!check.ok) invalid += 1
      else {
        bytes += size
        tools.set(toolNameOf(name, tool.name), this.#asServerTool(tool))
      }
    }
    signal.throwIfAborted()
    this.#tools = tools
    const omitted = wanted.length - tools.size - invalid
    if (omitted > 0 || invalid > 0)
      logger.warn(
        { server: name, offered: tools.size, omitted, invalid },
        'an MCP server lists tools that are not offered',
      )
  }

  #asServerTool(tool: Tool): ServerTool {
    const { name, server } = this.#options
    const { approval = [], timeoutMs = CALL_MS } = server
    const { readOnlyHint = false, idempotentHint = false } = tool.annotations ?? {}
    return {
      name: toolNameOf(name, tool.name),
      description: tool.description === undefined ? undefined : cutText(tool.description, MAX_DESCRIPTION),
      inputSchema: tool.inputSchema,
      approval: approval === true || approval.includes(tool.name),
      timeoutMs,
      idempotent: readOnlyHint || idempotentHint,
      foreign: true,
      // In a worker, because the server chose the schema.
      check: (input) => schemaPool.checkValue(tool.inputSchema, input, { session: this.#payer }),
      execute: (input, context) => this.#call(tool, input, context),
    }
  }

  /** @throws ToolFailure if the server has no such tool, reports an error, or is not available */
  async call(name: string, input: unknown, context: ToolContext): Promise<unknown> {
    const tool = this.#tools.get(name)
    if (tool !== undefined) return tool.execute(input, context)
    throw new ToolFailure(this.problem ?? `The MCP server ${this.#options.name} no longer has the tool ${name}.`)
  }

  async #call(tool: Tool, input: unknown, context: ToolContext): Promise<unknown> {
    this.calls += 1
    try {
      for (let attempt = 1; ; attempt += 1) {
        await this.ready()
        const client = this.#client
        if (client === undefined) throw new ToolFailure(this.problem ?? this.#problem)
        try {
          return outputOf(await client.call(tool, input, context))
        } catch (error) {
          context.signal.throwIfAborted()
          const { failureOf } = await import('./mcp-client.ts')
          if (attempt > 1 || !(await this.#isForgotten(client, error, context.signal))) throw failureOf(error)
          // The server was restarted.
          this.#retryAt = 0
          await client.close()
          this.#retryAt = 0
        }
      }
    } finally {
      this.calls -= 1
      this.usedAt = performance.now()
    }
  }

  /** Whether the server refuses everything on this connection, and not only this call. */
  async #isForgotten(client: McpClient, error: unknown, signal: AbortSignal): Promise<boolean> {
    const { isForgotten } = await import('./mcp-client.ts')
    const forgotten = isForgotten(error)
    if (forgotten !== 'maybe') return forgotten === 'yes'
    const limited = AbortSignal.any([signal, AbortSignal.timeout(this.#connectMs)])
    return client.list(limited).then(
      () => false,
      (other: unknown) => isForgotten(other) !== 'no',
    )
  }

  get #connectMs(): number {
    const { connectMs, server } = this.#options
    return connectMs ?? ('url' in server ? CONNECT_MS : START_MS)
  }

  /** The payer of schema checks is the server, so that slow ones affect only their own calls. */
  get #payer(): string {
    return `mcp ${this.#options.name}`
  }
}

/** @throws ToolFailure if the tool reports an error */
function outputOf({ content, structuredContent, isError }: CallToolResult): unknown {
  const parts = content.map((part) => withoutBytes(part))
  const texts = content.flatMap((part) => (part.type === 'text' ? [part.text] : []))
  const text = texts.length === content.length ? texts.join('\n') : undefined
  if (isError === true) throw new ToolFailure(text ?? JSON.stringify(parts))
  if (structuredContent !== undefined && text !== undefined) return structuredContent
  if (structuredContent !== undefined) return { structuredContent, content: parts }
  return text ?? parts
}

/** Images and sounds, as base64, are of no use to the model in a result. */
function withoutBytes(part: CallToolResult['content'][number]): unknown {
  if (part.type === 'image' || part.type === 'audio') return { ...part, data: `${part.data.length} characters omitted` }
  if (part.type !== 'resource' || !('blob' in part.resource)) return part
  return { ...part, resource: { ...part.resource, blob: `${part.resource.blob.length} characters omitted` } }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'failed'
}
