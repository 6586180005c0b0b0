// TransportHarness: the WebSocket and HTTP transports over a real log in a temporary folder, on a free port. No run is driven:
// the test itself appends the entries of runs.

import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Event, LIMITS, type RunOutput } from '@parley/protocol'
import { type Logger, pino } from 'pino'
import { type AuthConfig, createAuthenticator } from '../../auth/authenticator.ts'
import { Experiment } from '../../experiment/experiment.ts'
import type { ExperimentPlan } from '../../experiment/experiment-plan.ts'
import { CommandGate, type CommandGateLimits } from '../../limit/command-gate.ts'
import { ConnectionCount, type ConnectionLimits } from '../../limit/connection-count.ts'
import { Presence } from '../../presence/presence.ts'
import { DirectoryService } from '../../session/directory/directory-service.ts'
import { Purger } from '../../session/directory/purger.ts'
import { SessionAdmin } from '../../session/directory/session-admin.ts'
import { SessionCache } from '../../session/session-cache.ts'
import { createSessionService, type SessionService } from '../../session/session-service.ts'
import { TRANSCRIPT_DEFAULTS, TranscriptWriter } from '../../session/transcript/transcript-writer.ts'
import { type LmdbStores, openLmdbStores } from '../../store/lmdb/stores.ts'
import { Hub } from '../feed/hub.ts'
import { serveHealth } from '../http/health.ts'
import type { Route } from '../http/route.ts'
import { type HttpOptions, type HttpTransport, serveRoutes } from '../http/router.ts'
import { openJobTransport } from '../jobs/job-routes.ts'
import { HttpConnections } from '../session-http/http-connections.ts'
import { HttpPresence } from '../session-http/http-presence.ts'
import { HttpReaders } from '../session-http/http-readers.ts'
import type { SessionHttpPorts } from '../session-http/session-http-ports.ts'
import { sessionRoutes } from '../session-http/session-routes.ts'
import { loadUws, type us_listen_socket } from '../uws.ts'
import type { HandshakeLimits } from '../websocket/handshakes.ts'
import {
  broadcastBy,
  openWebSocketTransport,
  type WebSocketTransport,
  type WebSocketTransportLimits,
} from '../websocket/websocket-transport.ts'
import { HTTP_LIMITS_IN_TESTS } from './http-harness.ts'
import { TestClient, type TestClientOptions } from './test-client.ts'

export interface HarnessOptions {
  readonly limits?: Partial<Limits>
  readonly auth?: AuthConfig
  readonly origins?: readonly string[]
  readonly lingerMs?: number
  /** Milliseconds that the log keeps entries that a transcript covers. */
  readonly maxAgeMs?: number
  readonly now?: () => number
  readonly http?: Partial<
    Pick<HttpOptions, 'requests' | 'body' | 'outboxBytes' | 'stallMs' | 'heartbeatMs' | 'proxies'>
  >
  /** Additional HTTP routes. */
  readonly routes?: (ports: SessionHttpPorts & { readonly hub: Hub }) => readonly Route[]
  /** Milliseconds that an HTTP client's named connection lasts after its last stream or poll. */
  readonly connectionMs?: number
  readonly experiment?: ExperimentPlan
  /** Rate limits of users and addresses. */
  readonly gate?: CommandGateLimits
  /** Maximum wait of a request in seconds. */
  readonly waitMaxS?: number
  readonly handshakes?: Partial<HandshakeLimits>
  /** Names of server tools. */
  readonly serverTools?: readonly string[]
  /** By default, nothing is logged. */
  readonly logger?: Logger
}

type Limits = WebSocketTransportLimits & { readonly connections: ConnectionLimits }

const LIMITS_IN_TESTS: Limits = {
  connections: { total: 15_000, perAddress: 15_000 },
  helloMs: LIMITS.helloMs,
  heartbeatMs: 15_000,
  attachedSessions: LIMITS.attachedSessions,
  commands: { perSecond: 100, burst: 1_200 },
  outboxBytes: 64 * 1024,
  stallMs: 60_000,
  behindMs: 300_000,
}

export class TransportHarness {
  readonly stores: LmdbStores
  readonly service: SessionService
  readonly hub: Hub
  readonly webSocket: WebSocketTransport
  readonly http: HttpTransport
  readonly httpReaders: HttpReaders
  readonly sessions: SessionCache
  readonly port: number
  ready = true
  readonly #folder: string
  readonly #compact: (session: string) => Promise<void>
  readonly #close: () => Promise<void>
  readonly #clients: TestClient[] = []
  readonly #last = new Map<string, number>()

  private constructor(parts: {
    stores: LmdbStores
    service: SessionService
    hub: Hub
    webSocket: WebSocketTransport
    http: HttpTransport
    httpReaders: HttpReaders
    sessions: SessionCache
    port: number
    folder: string
    compact: (session: string) => Promise<void>
    close: () => Promise<void>
  }) {
    this.stores = parts.stores
    this.service = parts.service
    this.hub = parts.hub
    this.webSocket = parts.webSocket
    this.http = parts.http
    this.httpReaders = parts.httpReaders
    this.sessions = parts.sessions
    this.port = parts.port
    this.#folder = parts.folder
    this.#compact = parts.compact
    this.#close = parts.close
  }

  static async open(options: HarnessOptions = {}): Promise<TransportHarness> {
    const folder = mkdtempSync(join(tmpdir(), 'parley-transport-'))
    const logger = options.logger ?? pino({ enabled: false })
    const stores = await openLmdbStores({
      path: folder,
      logger,
      ...(options.maxAgeMs === undefined ? {} : { retention: { maxAgeMs: options.maxAgeMs } }),
      ...(options.now === undefined ? {} : { now: options.now }),
    })
    const sessions = new SessionCache(stores)
    const transcripts = new TranscriptWriter(stores, { ...TRANSCRIPT_DEFAULTS, logger })
    const isOpen = options.auth === undefined
    const directory = new DirectoryService({
      directory: stores.directory,
      ...(isOpen ? { everybody: 'anonymous' } : {}),
      logger,
      gatherMs: 10,
    })
    const purger = new Purger({ stores, sessions, keptMs: 3_600_000, logger })
    const sessionAdmin = new SessionAdmin({ log: stores.log, sessions, directory, purger, open: isOpen })
    const service = createSessionService({
      stores,
      sessions,
      checkChoice: () => undefined,
      serverTools: new Set(options.serverTools),
      open: isOpen,
      leaseMs: 30_000,
      directory,
      purgeAgain: (session, seq) => purger.purgeAgain(session, seq),
      logger,
    })
    const { uws } = loadUws()
    const app = uws.App()
    const hub = new Hub(stores.log, { lingerMs: options.lingerMs ?? 5_000, broadcast: broadcastBy(app) })
    const authenticator = createAuthenticator(options.auth ?? {})
    const experiment = options.experiment && new Experiment(options.experiment, authenticator.required)
    const limits = { ...LIMITS_IN_TESTS, ...options.limits }
    const gate = new CommandGate(options.gate ?? {})
    const origins = { allowed: options.origins ?? [], authenticated: authenticator.required }
    const connections = new ConnectionCount(limits.connections)
    const httpReaders = new HttpReaders({ service, stores, hub, logger, behindMs: limits.behindMs })
    const presence = new Presence()
    const httpPresence = new HttpPresence(presence)
    const named = new HttpConnections(service, options.connectionMs ?? 30_000)
    const waitMaxS = options.waitMaxS ?? 600
    const jobs = openJobTransport({ service, stores, sessions, retentionMs: 3_600_000, busy: () => 0, waitMaxS })
    const shared = { service, stores, sessions, sessionAdmin, presence, httpPresence, httpReaders, jobs, waitMaxS }
    const ports: SessionHttpPorts = { ...shared, connections: named }
    const http = serveRoutes(app, [...sessionRoutes(ports), ...(options.routes?.({ ...ports, hub }) ?? [])], {
      ...HTTP_LIMITS_IN_TESTS,
      ...options.http,
      authenticator,
      origins,
      connections,
      gate,
      experiment,
      logger,
    })
    const webSocket = openWebSocketTransport(app, {
      service,
      stores,
      hub,
      presence,
      authenticator,
      logger,
      node: 'test-node',
      origins,
      connections,
      gate,
      experiment,
      strangers: (options.http?.body ?? HTTP_LIMITS_IN_TESTS.body).strangers,
      limits,
      // The clients of a test share the memory of this process.
      handshakes: { bytes: 1024 ** 3, ...options.handshakes },
    })
    let harness: TransportHarness | undefined
    serveHealth(app, () => (harness?.ready === true ? 'ready' : 'stopping'))
    const socket = await new Promise<us_listen_socket>((resolve, reject) => {
      app.listen('127.0.0.1', 0, (token) => (token === false ? reject(new Error('no port')) : resolve(token)))
    })
    harness = new TransportHarness({
      stores,
      service,
      hub,
      webSocket,
      http,
      httpReaders,
      sessions,
      port: uws.us_socket_local_port(socket),
      folder,
      compact: (session) => sessions.with(session, (held) => transcripts.compact(held, true)),
      async close() {
        webSocket.close()
        http.close()
        jobs.close()
        named.close()
        uws.us_listen_socket_close(socket)
        hub.close()
        await Promise.all([directory.close(), purger.close()])
        sessions.close()
        await stores.close()
        app.close()
      },
    })
    return harness
  }

  /** The origin for HTTP requests. */
  get origin(): string {
    return `http://127.0.0.1:${this.port}`
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`${this.origin}${path}`, init)
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/v1/ws`
  }

  /** A WebSocket to which a test writes raw bytes, before hello. */
  async rawSocket(): Promise<Socket> {
    const socket = connect(this.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(
      'GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    )
    await new Promise((resolve) => socket.once('data', resolve))
    return socket
  }

  /** A client with an open socket, before hello. */
  async connect(options: TestClientOptions = {}): Promise<TestClient> {
    const client = new TestClient(this.url, options)
    this.#clients.push(client)
    await client.opened
    return client
  }

  /** A client after hello and welcome. */
  async enter(options: TestClientOptions = {}): Promise<TestClient> {
    const client = await this.connect(options)
    client.send({ type: 'hello' })
    await client.next('welcome')
    return client
  }

  /** Appends to a subject after its last entry. */
  async append(session: string, subject: string, event: Event, rollup = false): Promise<number> {
    const key = `${session} ${subject}`
    const before = this.#last.get(key) ?? (await this.stores.log.last(session, subject))
    const entry = await this.stores.log.append(session, subject, event, before, { rollup })
    this.#last.set(key, entry.seq)
    return entry.seq
  }

  /** Writes a session's transcript, and trims the entries that it covers. */
  async compactAndTrim(session: string): Promise<void> {
    await this.#compact(session)
    await this.stores.log.sweep()
  }

  /** Appends a message and the start of its run. */
  async startRun(session: string, run: string): Promise<void> {
    const message = `m-${run}`
    await this.append(session, `in.${message}`, {
      type: 'message',
      id: message,
      role: 'user',
      author: 'anonymous',
      content: [{ type: 'text', text: 'hi' }],
      policy: 'queue',
      run,
    })
    await this.append(session, `run.${run}`, {
      type: 'run.started',
      run,
      epoch: 1,
      mode: 'new',
      model: 'demo',
      message,
      next: 0,
    })
  }

  /** Appends the outputs `from` to `to - 1` of a run, each as an entry. */
  async say(
    session: string,
    run: string,
    from: number,
    to: number,
    text = (index: number) => ` ${index}`,
  ): Promise<void> {
    for (let index = from; index < to; index += 1) {
      await this.append(session, `run.${run}`, output(run, index, text(index)))
    }
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    await this.#close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

export function output(run: string, index: number, text: string): RunOutput {
  return { type: 'run.output', run, index, kind: 'text', text }
}
