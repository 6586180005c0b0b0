// Middlebox: an HTTP intermediary between a client and its server, as in some office networks. It can refuse upgrades,
// buffer event streams, or cut all connections. A test can change its rules at any time.
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

export interface Rules {
  /** WebSocket upgrades: forwarded, answered with 403, cut, or not answered. */
  upgrades: 'pass' | 'refuse' | 'cut' | 'hang'
  /**
   * Event streams: forwarded, the body buffered until `HOLD_MS` or the end (`hold`), the head buffered as well
   * (`swallow`), or answered with 403 (`refuse`).
   */
  streams: 'pass' | 'hold' | 'swallow' | 'refuse'
}

/** How long an answer is buffered, in milliseconds. */
export const HOLD_MS = 30_000

/** The box's own file at a path. */
export type Files = (path: string) => { readonly type: string; readonly body: string } | undefined

/** Counts of the requests. */
export interface Seen {
  readonly upgrades: number
  readonly streams: number
  readonly polls: number
  readonly commands: number
}

export class Middlebox {
  readonly rules: Rules
  /** Files that it serves itself, so that a page and the server have the same origin. */
  files: Files = () => undefined
  readonly #server: Server
  readonly #sockets = new Set<Duplex>()
  #targets: readonly number[]
  #turn = 0
  /** Event streams that are open now. */
  openStreams = 0
  #seen: Seen = { upgrades: 0, streams: 0, polls: 0, commands: 0 }

  private constructor(targets: readonly number[], rules: Partial<Rules>) {
    this.#targets = targets
    this.rules = { upgrades: 'pass', streams: 'pass', ...rules }
    this.#server = createServer((incoming, response) => this.#forward(incoming, response))
    this.#server.on('upgrade', (incoming, socket, head) => this.#upgrade(incoming, socket, head))
    this.#server.on('connection', (socket) => this.#keep(socket))
  }

  /** @param target the server's port on loopback; with several, requests alternate between them */
  static async open(target: number | readonly number[], rules: Partial<Rules> = {}): Promise<Middlebox> {
    const box = new Middlebox([target].flat(), rules)
    box.#server.listen(0, '127.0.0.1')
    await once(box.#server, 'listening')
    return box
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get seen(): Seen {
    return this.#seen
  }

  /** Cuts every connection; new ones are accepted. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  #target(): number {
    this.#turn += 1
    return this.#targets[this.#turn % this.#targets.length] ?? 0
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  }

  #count(what: keyof Seen): void {
    this.#seen = { ...this.#seen, [what]: this.#seen[what] + 1 }
  }

  #forward(incoming: IncomingMessage, response: ServerResponse): void {
    const file = this.files(incoming.url ?? '/')
    if (file !== undefined) {
      response.writeHead(200, { 'Content-Type': file.type, 'Cache-Control': 'max-age=60' }).end(file.body)
      return
    }
    const isStream = incoming.headers.accept?.startsWith('text/event-stream') === true
    if (isStream) {
      this.#count('streams')
      this.openStreams += 1
      response.on('close', () => {
        this.openStreams -= 1
      })
    } else if (incoming.method !== 'GET') this.#count('commands')
    else if (incoming.url?.includes('/events')) this.#count('polls')
    if (isStream && this.rules.streams === 'refuse') {
      response.writeHead(403, { 'Content-Type': 'text/html' }).end('<h1>No streaming</h1>')
      return
    }
    const { method, url, headers } = incoming
    const upstream = request({ port: this.#target(), host: '127.0.0.1', method, path: url, headers, agent: false })
    upstream.on('socket', (socket) => this.#keep(socket))
    upstream.on('error', () => {
      if (response.headersSent) response.destroy()
      else response.writeHead(502, { 'Content-Type': 'text/html' }).end('<h1>Bad gateway</h1>')
    })
    upstream.on('response', (answer) => this.#answer(answer, response))
    response.on('close', () => upstream.destroy())
    incoming.pipe(upstream)
  }

  #answer(answer: IncomingMessage, response: ServerResponse): void {
    const isStream = answer.headers['content-type']?.startsWith('text/event-stream') === true
    const rule = isStream ? this.rules.streams : 'pass'
    answer.on('error', () => response.destroy())
    answer.on('aborted', () => response.destroy())
    const begin = (): void => {
      if (response.destroyed) return
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      response.flushHeaders()
    }
    if (rule === 'pass') {
      begin()
      answer.pipe(response)
      return
    }
    if (rule === 'hold') begin()
    const held: Buffer[] = []
    const release = (): void => {
      if (rule === 'swallow') begin()
      for (const chunk of held.splice(0)) response.write(chunk)
      if (answer.readableEnded) response.end()
    }
    const timer = setInterval(release, HOLD_MS)
    response.on('close', () => clearInterval(timer))
    answer.on('data', (chunk: Buffer) => held.push(chunk))
    answer.on('end', release)
  }

  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#count('upgrades')
    const { upgrades } = this.rules
    if (upgrades === 'cut') socket.destroy()
    else if (upgrades === 'refuse') socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
    if (upgrades !== 'pass') return
    const far: Socket = connect(this.#target(), '127.0.0.1')
    this.#keep(far)
    far.on('connect', () => {
      const lines = incoming.rawHeaders.flatMap((name, i, all) => (i % 2 === 0 ? [`${name}: ${all[i + 1]}`] : []))
      far.write(`${incoming.method} ${incoming.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
      far.write(head)
      far.pipe(socket).pipe(far)
    })
    far.on('close', () => socket.destroy())
    socket.on('close', () => far.destroy())
  }
}
