// McpFixture: an MCP server of the official package over HTTP, of either era, with tools that misbehave as real ones do.
import { randomUUID } from 'node:crypto'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { toNodeHandler } from '@modelcontextprotocol/node'
import {
  createMcpHandler,
  type EventStore,
  inputRequired,
  isInitializeRequest,
  type JSONRPCMessage,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  Server,
  type Tool,
  UrlElicitationRequiredError,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server'
import * as z from 'zod'

export type Era = 'modern' | 'legacy'

const TASKS = 'io.modelcontextprotocol/tasks'
const tool = (name: string, more: Partial<Tool> = {}): Tool => ({ name, inputSchema: { type: 'object' }, ...more })

const FORM = {
  type: 'object' as const,
  properties: { name: { type: 'string' as const, minLength: 2 }, sure: { type: 'boolean' as const } },
  required: ['name'],
}

/** All events of one session, from which its client resumes. */
class Events implements EventStore {
  readonly #events: { readonly stream: string; readonly message: JSONRPCMessage }[] = []

  async storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    return `${this.#events.push({ stream, message }) - 1}`
  }

  async replayEventsAfter(
    last: string,
    { send }: { send(id: string, message: JSONRPCMessage): Promise<void> },
  ): Promise<string> {
    const stream = this.#events[Number(last)]?.stream ?? ''
    for (const [id, event] of this.#events.entries())
      if (id > Number(last) && event.stream === stream) await send(`${id}`, event.message)
    return stream
  }
}

export class McpFixture {
  readonly era: Era
  tools: Tool[] = [
    tool('echo', {
      description: 'Echoes.',
      inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
    }),
    ...[
      'whoami',
      'fail',
      'slow',
      'big',
      'structured',
      'picture',
      'task',
      'cut',
      'ask',
      'ask_anywhere',
      'ask_link',
      'ask_task',
      'wait',
    ].map((name) => tool(name)),
  ]
  pollIntervalMs = 50
  /** The answer to a session that it does not know. Many servers give 400. */
  unknownSession = 404
  /** What every request waits for. */
  held: Promise<void> | undefined
  /** Clients of the older version can resume streams. */
  resumable = false
  /** Called when a call of `slow` begins; and when it was aborted. */
  began = (): void => undefined
  aborted = (): void => undefined
  /** The value of `Authorization` of each call. */
  readonly callers: string[] = []
  readonly #http: HttpServer
  readonly #sockets = new Set<Socket>()
  readonly #sessions = new Map<string, { transport: WebStandardStreamableHTTPServerTransport; server: Server }>()
  readonly #modern
  readonly #tasks = new Map<string, { looks: number; cancelled: boolean; form?: object; answer?: unknown }>()
  #port = 0

  private constructor(era: Era) {
    this.era = era
    this.#modern = createMcpHandler(() => this.#build(), { legacy: 'reject', responseMode: 'sse' })
    const handler = toNodeHandler({
      fetch: async (request, options) => {
        await this.held
        return era === 'modern' ? this.#modern.fetch(request, options) : this.#legacy(request)
      },
    })
    this.#http = createServer((request, response) => void handler(request as Parameters<typeof handler>[0], response))
    this.#http.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  static async start(era: Era): Promise<McpFixture> {
    const fixture = new McpFixture(era)
    await fixture.listen()
    return fixture
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/mcp`
  }

  /** Of the older version, that no client has ended. */
  get sessions(): number {
    return this.#sessions.size
  }

  get cancelledTasks(): number {
    return [...this.#tasks.values()].filter(({ cancelled }) => cancelled).length
  }

  /** On the same port as before. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#http.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#http.address() as AddressInfo).port
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Stops listening, and forgets all sessions, as a restart does. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve))
    this.cut()
    await closed
    this.#sessions.clear()
  }

  /** Forgets all sessions, as a restart does. */
  forget(): void {
    this.#sessions.clear()
  }

  /** Changes the list of tools, and tells clients. */
  async change(tools: Tool[]): Promise<void> {
    this.tools = tools
    this.#modern.notify.toolsChanged()
    for (const { server } of this.#sessions.values()) await server.sendToolListChanged()
  }

  /** Sends a message of this size on the stream of each session. */
  async shout(bytes: number): Promise<void> {
    for (const { server } of this.#sessions.values())
      await server.notification({ method: 'notifications/message', params: { level: 'info', data: 'x'.repeat(bytes) } })
  }

  async dispose(): Promise<void> {
    await this.#modern.close()
    await this.stop()
  }

  async #legacy(request: Request): Promise<Response> {
    const id = request.headers.get('mcp-session-id')
    const known = this.#sessions.get(id ?? '')
    if (known !== undefined) return known.transport.handleRequest(request)
    const error = { jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null }
    if (id !== null || request.method !== 'POST')
      return Response.json(error, { status: id === null ? 400 : this.unknownSession })
    const body = await request.json()
    if (!isInitializeRequest(body)) return Response.json(error, { status: 400 })
    const server = this.#build()
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      ...(this.resumable ? { eventStore: new Events(), retryInterval: 20 } : {}),
      onsessioninitialized: (session) => void this.#sessions.set(session, { transport, server }),
      onsessionclosed: (session) => void this.#sessions.delete(session),
    })
    await server.connect(transport)
    return transport.handleRequest(request, { parsedBody: body })
  }

  #build(): Server {
    const capabilities = { logging: {}, tools: { listChanged: true }, extensions: { [TASKS]: {} } }
    const server = new Server({ name: 'fixture', version: '1' }, { capabilities })
    server.setRequestHandler('tools/list', async (request) => {
      const from = Number(request.params?.cursor ?? 0)
      const next = from + 100 < this.tools.length ? { nextCursor: String(from + 100) } : {}
      return { tools: this.tools.slice(from, from + 100), ...next }
    })
    server.setRequestHandler('tools/call', async ({ params }, context) => {
      const { name, arguments: input = {} } = params
      if (!this.tools.some((known) => known.name === name)) throw new ProtocolError(-32602, `Unknown tool: ${name}`)
      this.callers.push(context.http?.req?.headers.get('authorization') ?? 'nobody')
      const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] })
      if (name === 'whoami') return text(this.callers.at(-1) as string)
      if (name === 'fail') return { ...text('it is broken'), isError: true }
      if (name === 'big') return text('x'.repeat(10 * 1024 * 1024))
      if (name === 'wait') await new Promise((resolve) => setTimeout(resolve, Number(input.ms)))
      if (name === 'structured') return { ...text('{"n":1}'), structuredContent: { n: 1 } }
      if (name === 'picture') return { content: [{ type: 'image', data: 'AAAA', mimeType: 'image/png' }] }
      if (name === 'slow') {
        const progressToken = context.mcpReq._meta?.progressToken
        // The headers of the answer leave with it.
        if (progressToken !== undefined)
          await context.mcpReq.notify({
            method: 'notifications/progress',
            params: { progressToken, progress: 1, total: 3, message: 'one of three' },
          })
        this.began()
        await new Promise((resolve) => context.mcpReq.signal.addEventListener('abort', resolve, { once: true }))
        this.aborted()
      }
      if (name === 'cut') {
        this.began()
        await new Promise((resolve) => setTimeout(resolve, 50))
        this.cut()
        return text('after the cut')
      }
      if (name.startsWith('ask')) {
        const asked = String(input.message ?? 'Sure?')
        const form = { message: asked, requestedSchema: FORM }
        const link = { message: asked, url: 'https://example.com/', elicitationId: 'e' }
        if (name === 'ask_task') return { resultType: 'task', ...this.#task(this.#newTask(form), 'working') } as never
        if (this.era === 'legacy') {
          if (name === 'ask_link') throw new UrlElicitationRequiredError([{ mode: 'url', ...link }])
          // Without the request, it comes on a stream of its own.
          const answer = await server.elicitInput(form, name === 'ask' ? { relatedRequestId: context.mcpReq.id } : {})
          return text(JSON.stringify(answer))
        }
        const { inputResponses } = context.mcpReq
        if (inputResponses?.ok !== undefined) return text(JSON.stringify(inputResponses.ok))
        const request = name === 'ask_link' ? inputRequired.elicitUrl(link) : inputRequired.elicit(form)
        return inputRequired({ inputRequests: { ok: request } })
      }
      if (name === 'task') {
        if (!JSON.stringify(context.mcpReq.envelope).includes(TASKS))
          throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [TASKS]: {} } } })
        return { resultType: 'task', ...this.#task(this.#newTask(), 'working') } as never
      }
      return text(String(input.text ?? 'done'))
    })
    const id = z.looseObject({ taskId: z.string() })
    server.setRequestHandler('tasks/get', { params: id, result: z.looseObject({}) }, async ({ taskId }) => {
      const task = this.#tasks.get(taskId)
      if (task === undefined) throw new ProtocolError(-32602, 'Unknown task')
      task.looks += 1
      if (task.form !== undefined && task.answer === undefined) {
        const inputRequests = { ok: { method: 'elicitation/create', params: task.form } }
        return { ...this.#task(taskId, 'input_required'), inputRequests }
      }
      if (task.looks < 3 || this.tools.length === 1) return this.#task(taskId, 'working')
      const done = task.answer === undefined ? 'done by a task' : JSON.stringify(task.answer)
      const result = { resultType: 'complete', content: [{ type: 'text', text: done }] }
      return { ...this.#task(taskId, 'completed'), result }
    })
    server.setRequestHandler(
      'tasks/update',
      { params: id, result: z.looseObject({}) },
      async ({ taskId }, { mcpReq }) => {
        const task = this.#tasks.get(taskId)
        if (task !== undefined) task.answer = mcpReq.inputResponses?.ok
        return {}
      },
    )
    server.setRequestHandler('tasks/cancel', { params: id, result: z.looseObject({}) }, async ({ taskId }) => {
      const task = this.#tasks.get(taskId)
      if (task !== undefined) task.cancelled = true
      this.aborted()
      return {}
    })
    return server
  }

  #newTask(form?: object): string {
    const taskId = randomUUID()
    this.#tasks.set(taskId, { looks: 0, cancelled: false, ...(form === undefined ? {} : { form }) })
    return taskId
  }

  #task(taskId: string, status: string) {
    const now = new Date().toISOString()
    return {
      taskId,
      status,
      statusMessage: `is ${status}`,
      createdAt: now,
      lastUpdatedAt: now,
      ttlMs: 60_000,
      pollIntervalMs: this.pollIntervalMs,
    }
  }
}
