// McpHarness: a complete server with the demo model, an agent and a tool that needs an approval; raw requests of both eras, and
// the official clients.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client as FirstClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import type { FormSchema } from '@parley/protocol'
import { pino } from 'pino'
import { expect, vi } from 'vitest'
import { loadConfig } from '../../../config/config.ts'
import { createServer, type Server } from '../../../create-server.ts'
import { defineTool } from '../../../tool/define-tool.ts'

export type Json = Readonly<Record<string, unknown>>
/** `first`: `@modelcontextprotocol/sdk`, which knows only the legacy era. Others: `@modelcontextprotocol/client`. */
export type Mode = 'first' | 'legacy' | 'auto' | { readonly pin: string }

export interface CallOptions {
  readonly onprogress?: (progress: { progress: number; message?: string | undefined }) => void
  readonly signal?: AbortSignal
  readonly timeout?: number
  readonly resetTimeoutOnProgress?: boolean
}

export interface CallResult {
  readonly content?: unknown
  readonly structuredContent?: Json
  readonly isError?: boolean
}

/** The form of the tool `order`. */
const SIZE: FormSchema = {
  type: 'object',
  properties: { size: { type: 'string', enum: ['S', 'M'] } },
  required: ['size'],
}

/** What the official clients share. */
export interface McpClient {
  listTools(): Promise<{ readonly tools: readonly { readonly name: string; readonly description?: string }[] }>
  listResources(): Promise<{ readonly resources: readonly unknown[] }>
  listResourceTemplates(): Promise<{ readonly resourceTemplates: readonly { readonly uriTemplate: string }[] }>
  readResource(params: { uri: string }): Promise<{ readonly contents: readonly unknown[] }>
  callTool(call: { name: string; arguments: Json }, options?: CallOptions): Promise<CallResult>
  close(): Promise<void>
}

/** Connects an official client. @param answer to a question for its user; omitted: it cannot ask */
export async function connectClient(
  url: URL,
  mode: Mode,
  answer?: (message: string, signal: AbortSignal) => Json | Promise<Json>,
  transportOptions: ConstructorParameters<typeof StreamableHTTPClientTransport>[1] = {},
): Promise<McpClient> {
  const info = { name: 'test', version: '1' }
  const capabilities = answer === undefined ? {} : { elicitation: { form: {} } }
  if (mode !== 'first') {
    const client = new Client(info, { versionNegotiation: { mode }, capabilities })
    if (answer !== undefined) {
      client.setRequestHandler('elicitation/create', async ({ params }, { mcpReq }) => {
        return (await answer(params.message, mcpReq.signal)) as never
      })
    }
    await client.connect(new StreamableHTTPClientTransport(url, transportOptions))
    expect(client.getProtocolEra()).toBe(mode === 'legacy' ? 'legacy' : 'modern')
    return client as unknown as McpClient
  }
  const client = new FirstClient(info, { capabilities })
  if (answer !== undefined) {
    client.setRequestHandler(
      ElicitRequestSchema,
      async ({ params }, { signal }) => (await answer(params.message, signal)) as never,
    )
  }
  await client.connect(new FirstTransport(url, transportOptions as never) as never)
  return {
    listTools: () => client.listTools(),
    listResources: () => client.listResources(),
    listResourceTemplates: () => client.listResourceTemplates(),
    readResource: (params) => client.readResource(params),
    callTool: (call, options) => client.callTool(call, undefined, options),
    close: () => client.close(),
  } as McpClient
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The data of each event; of one JSON body: that. */
  readonly messages: readonly Json[]
  readonly ids: readonly string[]
}

const META = 'io.modelcontextprotocol/'
export const MODERN = '2026-07-28'
export const ACCEPT = 'application/json, text/event-stream'

export function meta(more: Json = {}, capabilities: Json = {}): Json {
  return { [`${META}protocolVersion`]: MODERN, [`${META}clientCapabilities`]: capabilities, ...more }
}

export function request(method: string, params: Json = {}, id: unknown = 1): Json {
  return { jsonrpc: '2.0', id, method, params }
}

export class McpHarness {
  /** Of every request. */
  headers: Readonly<Record<string, string>> = {}
  readonly #settings: Readonly<Record<string, string>>
  readonly #folder = mkdtempSync(join(tmpdir(), 'parley-mcp-'))
  readonly #clients: McpClient[] = []
  #server: Server | undefined

  private constructor(settings: Readonly<Record<string, string>>) {
    this.#settings = settings
  }

  static async open(settings: Readonly<Record<string, string>> = {}): Promise<McpHarness> {
    const harness = new McpHarness(settings)
    await harness.start()
    return harness
  }

  /** Starts the server, also again after `stop`, with the same data. */
  async start(): Promise<void> {
    const folder = this.#folder
    const settings = { PARLEY_DATA: folder, PARLEY_PORT: '0', PARLEY_DRAIN: '1', ...this.#settings }
    const config = await loadConfig(settings, folder)
    const pay = defineTool({
      name: 'pay',
      inputSchema: { type: 'object' },
      approval: true,
      execute: () => 'paid',
    })
    const order = defineTool({
      name: 'order',
      inputSchema: { type: 'object' },
      async execute(_, { ask, progress }) {
        progress({ text: 'looking for sizes' })
        const answer = await ask({ message: 'Which size?', schema: SIZE })
        return answer.action === 'accept' ? `ordered ${answer.content.size}` : `nothing ordered (${answer.action})`
      },
    })
    const agents = new Map([
      ['writer', { description: 'Writes texts.' }],
      ['chief', { description: 'Asks the writer.', agents: ['writer'] }],
    ])
    this.#server = await createServer({ ...config, tools: [pay, order], agents }, pino({ level: 'silent' }))
  }

  async stop(): Promise<void> {
    await this.#server?.close()
    this.#server = undefined
  }

  get server(): Server {
    if (this.#server === undefined) throw new Error('the server is not running')
    return this.#server
  }

  get url(): string {
    return `${this.server.url}/mcp`
  }

  async send(body: unknown, headers: Readonly<Record<string, string>> = {}, method = 'POST'): Promise<Answer> {
    const response = await fetch(this.url, {
      method,
      headers: { Accept: ACCEPT, 'Content-Type': 'application/json', ...this.headers, ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    return answerOf(response)
  }

  /** A modern request with correct headers, which `headers` may replace. */
  modern(method: string, params: Json = {}, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const name = params.name ?? params.uri ?? params.taskId
    const named = typeof name === 'string' ? { 'Mcp-Name': name } : {}
    return this.send(request(method, { _meta: meta(), ...params }), {
      'MCP-Protocol-Version': MODERN,
      'Mcp-Method': method,
      ...named,
      ...headers,
    })
  }

  /** The headers of a new legacy session. */
  async session(capabilities: Json = {}, version = '2025-11-25'): Promise<Record<string, string>> {
    const params = { protocolVersion: version, capabilities, clientInfo: { name: 'test', version: '1' } }
    const { headers } = await this.send(request('initialize', params))
    return { 'Mcp-Session-Id': headers.get('mcp-session-id') ?? '', 'MCP-Protocol-Version': version }
  }

  async client(mode: Mode, answer?: Parameters<typeof connectClient>[2]): Promise<McpClient> {
    const client = await connectClient(new URL(this.url), mode, answer)
    this.#clients.push(client)
    return client
  }

  /** The id of the session that began with a message, also if it has not been stored yet. */
  async sessionOf(message: string): Promise<string> {
    return vi.waitFor(async () => {
      const { sessions } = (await (
        await fetch(`${this.server.url}/v1/sessions`, { headers: this.headers })
      ).json()) as {
        sessions: { session: string; title?: string }[]
      }
      const found = sessions.find(({ title }) => title === message)
      if (found === undefined) throw new Error('the session is not listed')
      return found.session
    }, 20_000)
  }

  /** Resolves with the last run of a session when it is in one of the states. */
  async runIn(session: string, states: readonly string[]): Promise<Json> {
    return vi.waitFor(async () => {
      const snapshot = (await (
        await fetch(`${this.server.url}/v1/sessions/${session}`, { headers: this.headers })
      ).json()) as {
        messages?: Json[]
      }
      const run = snapshot.messages?.findLast(({ role }) => role === 'assistant') ?? {}
      if (!states.includes(String(run.state))) throw new Error(`the run is ${String(run.state)}`)
      return run
    }, 20_000)
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close()
    await this.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
  const values = (field: string): string[] =>
    text.split('\n').flatMap((line) => (line.startsWith(`${field}: `) ? [line.slice(field.length + 2)] : []))
  const data = isStream ? values('data').filter((each) => each !== '') : text === '' ? [] : [text]
  return {
    status: response.status,
    headers: response.headers,
    messages: data.map((each) => JSON.parse(each) as Json),
    ids: values('id'),
  }
}
