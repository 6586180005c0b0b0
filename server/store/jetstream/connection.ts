// JetStreamConnection: one connection to NATS for all that a node does, made by configuration, checked (JetStream, and a
// server that is new enough), and watched: whoever must act on its loss and return listens here. It comes back by
// itself for ever; only `close` ends it.
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import {
  AuthorizationError,
  connect,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
  NoRespondersError,
  nkeyAuthenticator,
  UserAuthenticationExpiredError,
} from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type { Subscription } from '../ports/session-log.ts'

export interface JetStreamConnectionOptions {
  /** URLs, such as `nats://10.0.0.1:4222` or `tls://nats.example.com`. */
  readonly servers: readonly string[]
  /** Shown by NATS's monitoring. */
  readonly name?: string
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly token?: string | undefined
  /** Path of a file with an nkey's seed. */
  readonly nkeyFile?: string | undefined
  /** Path of a credentials file (JWT and seed). */
  readonly credsFile?: string | undefined
  /** Paths of files. A URL that begins with `tls:` wants TLS also without them. */
  readonly tls?: TlsFiles
  /** Milliseconds that the start waits for a server, and for JetStream to have a leader; default 15,000. */
  readonly patienceMs?: number
  readonly logger: Logger
}

export interface TlsFiles {
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
}

/** `away`: what is asked waits or fails; `live` again after each reconnect. */
export type ConnectionState = 'live' | 'away' | 'closed'

/** The start is stopped: the message says what was found and what to do. Shows no secret. */
export class JetStreamStartError extends Error {
  override readonly name = 'JetStreamStartError'
}

/** Batched Direct Get and what else is used came with it. */
const OLDEST = [2, 11] as const
const PATIENCE_MS = 30_000
/** A server that says nothing for about three times as long is left: a cut line is not noticed otherwise. */
const PING_MS = 2_000
const PINGS_OUT = 2
const CONNECT_MS = 5_000
const RECONNECT_MS = 100
const RECONNECT_JITTER_MS = 150
/** Between attempts of the start. */
const RETRY_MS = 250
const API_MS = 5_000
/** How long a connection that was given up may take to close by itself. */
const DESTROY_MS = 250
const NOT_ENABLED = new Set([10039, 10076])

export class JetStreamConnection {
  readonly nats: NatsConnection
  readonly #logger: Logger
  readonly #listeners = new Set<(state: ConnectionState) => void>()
  #state: ConnectionState = 'live'
  #since = performance.now()

  private constructor(nats: NatsConnection, logger: Logger) {
    this.nats = nats
    this.#logger = logger
  }

  /** @throws JetStreamStartError */
  static async open(options: JetStreamConnectionOptions): Promise<JetStreamConnection> {
    const until = performance.now() + (options.patienceMs ?? PATIENCE_MS)
    const nats = await connectWithin(options, until)
    try {
      checkVersion(nats)
      await waitForJetStream(nats, until)
    } catch (error) {
      await nats.close()
      throw error
    }
    const connection = new JetStreamConnection(nats, options.logger)
    connection
      .#watch()
      .catch((error: unknown) => options.logger.error({ err: error }, 'watching the NATS connection ended'))
    return connection
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Milliseconds that it has been in its state. */
  get stateMs(): number {
    return performance.now() - this.#since
  }

  /** Bytes of one message, headers included, that the server takes now. */
  get maxPayload(): number {
    return this.nats.info?.max_payload ?? 1024 * 1024
  }

  /** @param listener called after each change, in the order of the changes; must not throw */
  onState(listener: (state: ConnectionState) => void): Subscription {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  /** Sends what was published, then ends. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return
    const live = this.#state === 'live'
    this.#become('closed')
    if (live) await this.#flushWithin(CONNECT_MS)
    await this.nats.close()
  }

  async #flushWithin(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms)
    })
    // A flush that fails because the connection went has nothing more to say.
    await Promise.race([this.nats.flush().catch(() => undefined), late])
    clearTimeout(timer)
  }

  async #watch(): Promise<void> {
    for await (const status of this.nats.status()) {
      if (status.type === 'disconnect') {
        this.#become('away')
      } else if (status.type === 'reconnect') {
        this.#become('live')
        this.#warnOfVersion()
      } else if (status.type === 'staleConnection') this.#cut()
      else if (status.type === 'ldm') this.#logger.info({ server: status.server }, 'the NATS server is about to stop')
      else if (status.type === 'error') this.#logger.warn({ err: status.error }, 'NATS refused something')
      else if (status.type === 'slowConsumer') this.#logger.warn('NATS messages came faster than they were taken')
    }
    this.#become('closed')
  }

  #become(state: ConnectionState): void {
    if (this.#state === state || this.#state === 'closed') return
    const ms = Math.round(this.stateMs)
    this.#state = state
    this.#since = performance.now()
    if (state === 'away') this.#logger.warn({ liveMs: ms }, 'NATS is away')
    else if (state === 'live') this.#logger.info({ awayMs: ms, server: this.nats.getServer() }, 'NATS is back')
    for (const listener of [...this.#listeners]) listener(state)
  }

  /**
   * The client closes a silent connection only after what it wrote last is with the kernel: on a cut line, with
   * its buffers full, that never happens. So the socket is taken from it.
   */
  #cut(): void {
    const { transport } = (this.nats as unknown as { protocol?: { transport?: { socket?: Socket } } }).protocol ?? {}
    const socket = transport?.socket
    setTimeout(() => socket?.destroy(), DESTROY_MS).unref()
  }

  #warnOfVersion(): void {
    const version = this.nats.info?.version
    if (version !== undefined && isTooOld(version)) {
      this.#logger.error({ version }, `NATS is older than ${OLDEST.join('.')} now: expect errors`)
    }
  }
}

async function connectWithin(options: JetStreamConnectionOptions, until: number): Promise<NatsConnection> {
  const connectOptions = natsOptions(options)
  let told = false
  for (;;) {
    try {
      return await connect(connectOptions)
    } catch (error) {
      const { message } = error as Error
      if (error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError) {
        throw new JetStreamStartError(
          `NATS refuses the credentials (${message}): check user, password, token, nkey or creds file.`,
          { cause: error },
        )
      }
      const where = options.servers.map(withoutSecrets).join(', ')
      if (performance.now() + RETRY_MS > until) {
        throw new JetStreamStartError(`NATS cannot be reached at ${where}: ${message}${hint(message)}`, {
          cause: error,
        })
      }
      if (!told) options.logger.warn({ servers: where, reason: message }, 'NATS cannot be reached yet')
      told = true
      await delay(RETRY_MS)
    }
  }
}

function hint(message: string): string {
  return /certificate/i.test(message) ? '. PARLEY_NATS_CA names the file of an authority of your own.' : ''
}

function natsOptions(options: JetStreamConnectionOptions): NodeConnectionOptions {
  const { servers, name, user, password, token, nkeyFile, credsFile, tls } = options
  return {
    servers: [...servers],
    ...(name === undefined ? {} : { name }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
    ...(token === undefined ? {} : { token }),
    ...(nkeyFile === undefined ? {} : { authenticator: nkeyAuthenticator(secret(nkeyFile, 'nkey seed')) }),
    ...(credsFile === undefined ? {} : { authenticator: credsAuthenticator(secret(credsFile, 'credentials')) }),
    ...tlsOptions(servers, tls),
    timeout: CONNECT_MS,
    pingInterval: PING_MS,
    maxPingOut: PINGS_OUT,
    maxReconnectAttempts: -1,
    // Credentials may be mended while we run: a node that gave up would have to be restarted by hand.
    ignoreAuthErrorAbort: true,
    reconnectDelayHandler: () => RECONNECT_MS + Math.random() * RECONNECT_JITTER_MS,
    noAsyncTraces: true,
  }
}

function tlsOptions(servers: readonly string[], files: TlsFiles = {}): Pick<NodeConnectionOptions, 'tls'> {
  const given = Object.fromEntries(Object.entries(files).filter(([, file]) => file !== undefined))
  const wanted = Object.keys(given).length > 0 || servers.some((server) => server.startsWith('tls:'))
  return wanted ? { tls: given } : {}
}

function secret(file: string, what: string): Uint8Array {
  try {
    const bytes = readFileSync(file)
    // A seed file usually ends with a new line, which is no part of the seed.
    return what === 'credentials' ? bytes : Buffer.from(bytes.toString().trim())
  } catch (error) {
    throw new JetStreamStartError(`the file of the ${what} cannot be read: ${file}`, { cause: error })
  }
}

function checkVersion(nats: NatsConnection): void {
  const version = nats.info?.version ?? 'unknown'
  if (!isTooOld(version)) return
  throw new JetStreamStartError(`NATS is ${version}: ${OLDEST.join('.')} or newer is needed. Upgrade nats-server.`)
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0)
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}

/** A cluster that starts has no JetStream until it has a leader: that is waited for, within the start's time. */
async function waitForJetStream(nats: NatsConnection, until: number): Promise<void> {
  for (;;) {
    let problem: string
    try {
      const reply = await nats.request('$JS.API.INFO', '', { timeout: API_MS })
      const { error } = reply.json<{ error?: { err_code: number; description: string } }>()
      if (error === undefined) return
      problem = error.description
      if (NOT_ENABLED.has(error.err_code)) {
        throw new JetStreamStartError(`NATS has JetStream off for this account (${problem}): enable it.`)
      }
    } catch (error) {
      if (error instanceof JetStreamStartError) throw error
      const nobody = error instanceof NoRespondersError || (error as Error).cause instanceof NoRespondersError
      if (nobody && nats.info?.jetstream !== true) {
        throw new JetStreamStartError('NATS runs without JetStream: start nats-server with -js or a jetstream block.')
      }
      problem = (error as Error).message
    }
    if (performance.now() + RETRY_MS > until) throw new JetStreamStartError(`JetStream does not answer: ${problem}`)
    await delay(RETRY_MS)
  }
}

/** @returns the URL without user and password */
export function withoutSecrets(server: string): string {
  return server.replace(/^([a-z]+:\/\/)?[^@/]*@/, '$1')
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
