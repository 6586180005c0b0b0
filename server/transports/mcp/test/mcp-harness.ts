// McpHarness: a complete server with the demo model, an agent and a tool that needs an approval; raw requests of both eras, and
// the official client.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { pino } from 'pino'
import { vi } from 'vitest'
import { loadConfig } from '../../../config/config.ts'
import { createServer, type Server } from '../../../create-server.ts'
import { defineTool } from '../../../tool/define-tool.ts'

export type Json = Readonly<Record<string, unknown>>
export type Mode = 'legacy' | 'auto' | { readonly pin: string }

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
  readonly server: Server
  readonly #folder: string
  readonly #clients: Client[] = []

  private constructor(server: Server, folder: string) {
    this.server = server
    this.#folder = folder
  }

  static async open(settings: Readonly<Record<string, string>> = {}): Promise<McpHarness> {
    const folder = mkdtempSync(join(tmpdir(), 'parley-mcp-'))
    const config = await loadConfig({ PARLEY_DATA: folder, PARLEY_PORT: '0', PARLEY_DRAIN: '1', ...settings }, folder)
    const pay = defineTool({
      name: 'pay',
      inputSchema: { type: 'object' },
      approval: true,
      execute: () => 'paid',
    })
    const agents = new Map([['writer', { description: 'Writes texts.' }]])
    const server = await createServer({ ...config, tools: [pay], agents }, pino({ level: 'silent' }))
    return new McpHarness(server, folder)
  }

  get url(): string {
    return `${this.server.url}/mcp`
  }

  async send(body: unknown, headers: Readonly<Record<string, string>> = {}, method = 'POST'): Promise<Answer> {
    const response = await fetch(this.url, {
      method,
      headers: { Accept: ACCEPT, 'Content-Type': 'application/json', ...headers },
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

  async client(mode: Mode, answer?: (message: string) => Json): Promise<Client> {
    const capabilities = answer === undefined ? {} : { elicitation: { form: {} } }
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode }, capabilities })
    if (answer !== undefined) {
      client.setRequestHandler('elicitation/create', async ({ params }) => answer(params.message) as never)
    }
    await client.connect(new StreamableHTTPClientTransport(new URL(this.url)))
    this.#clients.push(client)
    return client
  }

  /** Resolves with the last run of a session when it is in one of the states. */
  async runIn(session: string, states: readonly string[]): Promise<Json> {
    return vi.waitFor(async () => {
      const snapshot = (await (await fetch(`${this.server.url}/v1/sessions/${session}`)).json()) as {
        messages?: Json[]
      }
      const run = snapshot.messages?.findLast(({ role }) => role === 'assistant') ?? {}
      if (!states.includes(String(run.state))) throw new Error(`the run is ${String(run.state)}`)
      return run
    }, 20_000)
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close()
    await this.server.close()
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
