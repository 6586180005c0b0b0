// ScriptedHttp: an HTTP server over real sockets that answers exactly as a test says.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Assignment, Event, ServerFrame } from '@parley/protocol'
import { cursor, entry } from './scripted-server.ts'

/** One request, and the methods that answer it. */
export class Ask {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
  readonly #response: ServerResponse

  constructor(incoming: IncomingMessage, body: unknown, response: ServerResponse) {
    const url = new URL(incoming.url ?? '/', 'http://x')
    this.method = incoming.method ?? ''
    this.path = url.pathname
    this.query = url.searchParams
    this.headers = incoming.headers
    this.body = body
    this.#response = response
  }

  /** The command's id. */
  get key(): string {
    return String(this.headers['idempotency-key'])
  }

  json(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): void {
    this.#response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body))
  }

  problem(status: number, code: string, retryable = false, headers: Readonly<Record<string, string>> = {}): void {
    const body = { type: 'about:blank', title: code, status, code, retryable, requestId: 'r' }
    const type = { 'Content-Type': 'application/problem+json' }
    this.#response.writeHead(status, { ...type, ...headers }).end(JSON.stringify(body))
  }

  html(status = 200): void {
    this.#response.writeHead(status, { 'Content-Type': 'text/html' }).end('<h1>Log in to the hotel’s network</h1>')
  }

  /** Starts an event stream. */
  stream(): void {
    this.#response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    this.#response.write(':\n\n')
  }

  /** Starts an event stream, attaches, delivers these events, and is live. */
  attached(session: string, first: number, events: readonly Event[] = [], options: { reset?: true } = {}): void {
    const head = cursor(first - 1 + events.length)
    this.stream()
    this.frame({ type: 'attached', id: 'req_1', session, cursor: head, role: 'owner', ...options })
    this.entries(session, first, events)
    this.frame({ type: 'live', session, cursor: head })
  }

  entries(session: string, first: number, events: readonly Event[]): void {
    for (const [i, event] of events.entries()) {
      const { type: _, ...data } = entry(session, first + i, event) as Extract<ServerFrame, { type: 'entry' }>
      this.write(`id: ${data.cursor}\nevent: ${event.type}\ndata: ${JSON.stringify(data)}\n\n`)
    }
  }

  frame(frame: ServerFrame): void {
    this.write(`event: ${frame.type}\ndata: ${JSON.stringify(frame)}\n\n`)
  }

  write(text: string): void {
    this.#response.write(text)
  }

  end(): void {
    this.#response.end()
  }

  drop(): void {
    this.#response.destroy()
  }

  /** Resolves when the client has left or has been answered. */
  async gone(): Promise<void> {
    if (!this.#response.closed) await once(this.#response, 'close')
  }
}

interface Taker {
  readonly fits: (ask: Ask) => boolean
  readonly take: (ask: Ask) => void
}

export class ScriptedHttp {
  readonly #server: Server
  #asks: Ask[] = []
  #takers: Taker[] = []
  /** Sent with hello. */
  experiment: Assignment | undefined
  /** Answers hello automatically. */
  readonly #welcomes: boolean

  private constructor(welcomes: boolean) {
    this.#welcomes = welcomes
    this.#server = createServer((incoming, response) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        this.#put(new Ask(incoming, text === '' ? undefined : JSON.parse(text), response))
      })
    })
  }

  static async start(options: { welcomes?: boolean } = {}): Promise<ScriptedHttp> {
    const server = new ScriptedHttp(options.welcomes ?? true)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Requests that the test has not expected yet. */
  get waiting(): readonly string[] {
    return this.#asks.map(({ method, path }) => `${method} ${path}`)
  }

  /** The next request of this method whose path has this end. */
  expect(method: string, end: string): Promise<Ask> {
    const fits = (ask: Ask): boolean => ask.method === method && ask.path.endsWith(end)
    const at = this.#asks.findIndex(fits)
    const [found] = at < 0 ? [] : this.#asks.splice(at, 1)
    if (found !== undefined) return Promise.resolve(found)
    return new Promise((take) => this.#takers.push({ fits, take }))
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #put(ask: Ask): void {
    if (this.#welcomes && ask.path === '/v1/hello') {
      const { experiment } = this
      ask.json({ ...welcome(String(ask.headers['parley-connection'])), experiment })
      return
    }
    if (ask.headers.upgrade !== undefined) {
      ask.problem(426, 'upgrade_required')
      return
    }
    const taker = this.#takers.find(({ fits }) => fits(ask))
    if (taker === undefined) {
      this.#asks.push(ask)
      return
    }
    this.#takers = this.#takers.filter((other) => other !== taker)
    taker.take(ask)
  }
}

export function welcome(connection = 'c1'): object {
  return { type: 'welcome', connection, user: 'ann', role: 'owner', node: 'n1', heartbeatMs: 15_000, limits: {} }
}
