// HttpHarness: serves routes on a free port, and opens raw connections for requests that fetch cannot send.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { pino } from 'pino'
import { type AuthConfig, createAuthenticator } from '../../auth/authenticator.ts'
import { ByteBudget } from '../../limit/byte-budget.ts'
import { ConnectionCount } from '../../limit/connection-count.ts'
import type { Route } from '../http/route.ts'
import { type HttpOptions, type HttpTransport, serveRoutes } from '../http/router.ts'
import { loadUws, type us_listen_socket } from '../uws.ts'

export interface HttpHarnessOptions extends Partial<Omit<HttpOptions, 'authenticator' | 'origins'>> {
  readonly auth?: AuthConfig
  readonly allowedOrigins?: readonly string[]
}

const bodies = new ByteBudget(64 * 1024 * 1024)

export const HTTP_LIMITS_IN_TESTS = {
  requests: { perSecond: 10_000, burst: 10_000 },
  body: { bytes: 1024 * 1024, budget: bodies, strangers: new ByteBudget(16 * 1024 * 1024, bodies), ms: 10_000 },
  outboxBytes: 64 * 1024,
  stallMs: 60_000,
  heartbeatMs: 15_000,
} as const

export class HttpHarness {
  readonly transport: HttpTransport
  readonly port: number
  readonly #close: () => void
  /** The sockets of all raw connections. */
  readonly sockets: Socket[] = []

  private constructor(transport: HttpTransport, port: number, close: () => void) {
    this.transport = transport
    this.port = port
    this.#close = close
  }

  static async open(routes: readonly Route[], options: HttpHarnessOptions = {}): Promise<HttpHarness> {
    const { auth = {}, allowedOrigins = [], ...more } = options
    const { uws } = loadUws()
    const app = uws.App()
    const authenticator = createAuthenticator(auth)
    const transport = serveRoutes(app, routes, {
      ...HTTP_LIMITS_IN_TESTS,
      connections: new ConnectionCount({ total: 1_000, perAddress: 1_000 }),
      logger: pino({ enabled: false }),
      ...more,
      authenticator,
      origins: { allowed: allowedOrigins, authenticated: authenticator.required },
    })
    const socket = await new Promise<us_listen_socket>((resolve, reject) => {
      app.listen('127.0.0.1', 0, (token) => (token === false ? reject(new Error('no port')) : resolve(token)))
    })
    return new HttpHarness(transport, uws.us_socket_local_port(socket), () => {
      transport.close()
      app.close()
    })
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`${this.url}${path}`, init)
  }

  /** Opens a connection for raw bytes. */
  async connect(port = this.port): Promise<RawConnection> {
    const socket = connect(port, '127.0.0.1')
    this.sockets.push(socket)
    await once(socket, 'connect')
    return new RawConnection(socket)
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
    this.#close()
  }
}

export class RawConnection {
  readonly socket: Socket
  readonly closed: Promise<void>
  #text = ''
  #isClosed = false
  #waiting: (() => void)[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      this.#text += text
      this.#wake()
    })
    // An error is followed by close.
    socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true
        this.#wake()
        resolve()
      })
    })
  }

  /** Everything received so far. */
  get text(): string {
    return this.#text
  }

  write(text: string): void {
    this.socket.write(text)
  }

  /** Resolves with everything received, once it contains `part` or the connection is closed. */
  async until(part: string): Promise<string> {
    while (!this.#text.includes(part) && !this.#isClosed) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    return this.#text
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
