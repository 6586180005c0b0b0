// ScriptedServer: a WebSocket server over real sockets that sends exactly what a test says, so that a test can drop,
// delay, repeat and refuse at will.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type ClientFrame, type Codec, codecs, type Event, type ServerFrame } from '@parley/protocol'
import { type WebSocket, WebSocketServer } from 'ws'

/** An awaitable queue; each item is taken once. */
class Inbox<T> {
  readonly #items: T[] = []
  readonly #takers: ((item: T) => void)[] = []

  put(item: T): void {
    const taker = this.#takers.shift()
    if (taker === undefined) this.#items.push(item)
    else taker(item)
  }

  take(): Promise<T> {
    const item = this.#items.shift()
    if (item !== undefined) return Promise.resolve(item)
    return new Promise((resolve) => this.#takers.push(resolve))
  }

  get waiting(): readonly T[] {
    return this.#items
  }
}

export class Peer {
  readonly socket: WebSocket
  readonly #codec: Codec
  readonly #inbox = new Inbox<ClientFrame>()
  readonly id: string

  constructor(socket: WebSocket, codec: Codec, id: string) {
    this.socket = socket
    this.#codec = codec
    this.id = id
    socket.on('message', (data: Buffer, binary: boolean) => {
      const decoded = codec.decode(binary ? new Uint8Array(data) : data.toString())
      for (const frame of Array.isArray(decoded) ? decoded : [decoded]) this.#inbox.put(frame as ClientFrame)
    })
  }

  /** Frames that the test has not expected yet. */
  get waiting(): readonly ClientFrame[] {
    return this.#inbox.waiting
  }

  /** Returns the next frame, which must have this type. */
  async expect<T extends ClientFrame['type']>(type: T): Promise<Extract<ClientFrame, { type: T }>> {
    const frame = await this.#inbox.take()
    if (frame.type !== type) throw new Error(`expected ${type}, got ${JSON.stringify(frame)}`)
    return frame as Extract<ClientFrame, { type: T }>
  }

  send(...frames: ServerFrame[]): void {
    this.socket.send(this.#codec.encode(frames.length === 1 ? frames[0] : frames))
  }

  raw(data: string | Uint8Array): void {
    this.socket.send(data)
  }

  async welcome(heartbeatMs = 60_000): Promise<void> {
    await this.expect('hello')
    this.send({ type: 'welcome', connection: this.id, user: 'ann', node: 'n1', heartbeatMs, limits: {} })
  }

  /** Answers the attach with these events, numbered from `first`, and is live. */
  async attach(
    events: readonly Event[] = [],
    options: { reset?: true; first?: number } = {},
  ): Promise<string | undefined> {
    const { id, session, after } = await this.expect('attach')
    const { first = 1, reset } = options
    const head = cursor(first - 1 + events.length)
    this.send({ type: 'attached', id, session, cursor: head, role: 'owner', ...(reset === undefined ? {} : { reset }) })
    this.entries(session, first, events)
    this.send({ type: 'live', session, cursor: head })
    return after
  }

  entries(session: string, first: number, events: readonly Event[]): void {
    if (events.length === 0) return
    this.send(...events.map((event, i) => entry(session, first + i, event)))
  }

  drop(): void {
    this.socket.terminate()
  }

  close(code: number, reason = ''): void {
    this.socket.close(code, reason)
  }

  async gone(): Promise<number> {
    if (this.socket.readyState === this.socket.CLOSED) return 0
    const [code] = (await once(this.socket, 'close')) as [number]
    return code
  }
}

export function cursor(seq: number): string {
  return `e.${seq}`
}

export function entry(session: string, seq: number, event: Event): ServerFrame {
  return { type: 'entry', session, cursor: cursor(seq), time: 1_000 + seq, event }
}

export class ScriptedServer {
  readonly #server: WebSocketServer
  readonly #peers = new Inbox<Peer>()
  #count = 0

  private constructor(server: WebSocketServer) {
    this.#server = server
    server.on('connection', (socket) => {
      this.#count += 1
      const codec = socket.protocol === 'parley.v1.msgpack' ? codecs.msgpack : codecs.json
      this.#peers.put(new Peer(socket, codec, `c${this.#count}`))
    })
  }

  static async start(port = 0): Promise<ScriptedServer> {
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port,
      handleProtocols: (offered) => [...offered].find((name) => name.startsWith('parley.v1.')) ?? false,
    })
    await once(server, 'listening')
    return new ScriptedServer(server)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get connections(): number {
    return this.#count
  }

  /** Returns the next connection. */
  accept(): Promise<Peer> {
    return this.#peers.take()
  }

  async close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

export const USAGE = { inputTokens: 0, outputTokens: 0 }

export function message(
  id: string,
  run: string,
  text = 'hello',
  policy: 'queue' | 'interrupt' | 'steer' = 'queue',
): Event {
  return { type: 'message', id, role: 'user', author: 'ann', content: [{ type: 'text', text }], policy, run }
}

export function started(
  run: string,
  messageId: string,
  more: { epoch?: number; mode?: 'new' | 'continue' | 'restart'; next?: number } = {},
): Event {
  const { epoch = 1, mode = 'new', next = 0 } = more
  return { type: 'run.started', run, epoch, mode, model: 'demo', message: messageId, next }
}

export function says(run: string, index: number, text: string, kind: 'text' | 'reasoning' = 'text'): Event {
  return { type: 'run.output', run, index, kind, text }
}

export function ended(
  run: string,
  next: number,
  reason: 'completed' | 'cancelled' | 'superseded' = 'completed',
): Event {
  return { type: 'run.ended', run, reason, usage: USAGE, next }
}

export function called(
  run: string,
  call: string,
  name: string,
  more: { attempt?: number; approval?: boolean } = {},
): Event {
  const { attempt = 1, approval = false } = more
  return {
    type: 'tool.called',
    run,
    call,
    name,
    input: { a: 1 },
    where: 'client',
    approval,
    attempt,
    until: 9e12,
    step: 0,
  }
}
