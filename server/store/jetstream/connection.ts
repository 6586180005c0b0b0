// JetStreamConnection: a node's only connection to NATS. Opening it checks for JetStream and a recent server. It
// notifies listeners of disconnects and reconnects, and reconnects forever; only `close` ends it.
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AuthorizationError,
  connect,
  credsAuthenticator,
  type Msg,
  type NatsConnection,
  type NodeConnectionOptions,
  NoRespondersError,
  nkeyAuthenticator,
  UserAuthenticationExpiredError,
} from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { StorageError } from '../ports/errors.ts'
import type { Subscription } from '../ports/session-log.ts'

export interface JetStreamConnectionOptions {
  /** URLs, such as `nats://10.0.0.1:4222` or `tls://nats.example.com`. */
  readonly servers: readonly string[]
  /** Name of the client in NATS's monitoring. */
  readonly name?: string
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly token?: string | undefined
  /** Path of a file with an nkey's seed. */
  readonly nkeyFile?: string | undefined
  /** Path of a credentials file (JWT and seed). */
  readonly credsFile?: string | undefined
  /** Paths of files. A `tls:` URL uses TLS even without them. */
  readonly tls?: TlsFiles
  /** Milliseconds to wait at the start for a server, and for JetStream to have a leader; default 30,000. */
  readonly startTimeoutMs?: number
  readonly logger: Logger
}

export interface TlsFiles {
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
}

/** `away`: requests wait or fail until the connection is `live` again. */
export type ConnectionState = 'live' | 'away' | 'closed'

/** Aborts the start. The message says what is wrong and what to do, and contains no secrets. */
export class JetStreamStartError extends Error {
  override readonly name = 'JetStreamStartError'
}

/** The first version with batched Direct Get. */
const OLDEST_VERSION = [2, 11] as const
const START_TIMEOUT_MS = 30_000
/** After about three times this long without an answer the client reconnects. It cannot notice a cut line otherwise. */
const PING_MS = 2_000
const PINGS_OUT = 2
const CONNECT_MS = 5_000
const RECONNECT_MS = 100
const RECONNECT_JITTER_MS = 150
/** Between connection attempts at the start. */
const RETRY_MS = 250
const API_MS = 5_000
/** How long the client may take to close a stale connection before its socket is destroyed. */
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
    const until = performance.now() + (options.startTimeoutMs ?? START_TIMEOUT_MS)
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
      .catch((error: unknown) => options.logger.error({ err: error }, 'stopped watching the NATS connection'))
    return connection
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Milliseconds since the last change of state. */
  get stateMs(): number {
    return performance.now() - this.#since
  }

  /** The server's current limit for a message in bytes, including headers. */
  get maxPayload(): number {
    return this.nats.info?.max_payload ?? 1024 * 1024
  }

  /** @param listener called after each change, in the order of the changes; must not throw */
  onState(listener: (state: ConnectionState) => void): Subscription {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  /** Flushes published messages, then closes. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return
    const live = this.#state === 'live'
    this.#become('closed')
    if (live) await this.#flushWithin(CONNECT_MS)
    await this.nats.close()
  }

  async #flushWithin(ms: number): Promise<void> {
    const timeout = new AbortController()
    const late = sleep(ms, undefined, { signal: timeout.signal })
    // A failed flush means that the connection is lost, so there is nothing left to wait for.
    await Promise.race([this.nats.flush(), late].map((promise) => promise.catch(() => undefined)))
    timeout.abort()
  }

  async #watch(): Promise<void> {
    for await (const status of this.nats.status()) {
      if (status.type === 'disconnect') {
        this.#become('away')
      } else if (status.type === 'reconnect') {
        this.#become('live')
        this.#warnIfOutdated()
      } else if (status.type === 'staleConnection') this.#destroySocket()
      else if (status.type === 'ldm') this.#logger.info({ server: status.server }, 'the NATS server is shutting down')
      else if (status.type === 'error') this.#logger.warn({ err: status.error }, 'NATS reported an error')
      else if (status.type === 'slowConsumer') this.#logger.warn('NATS messages arrive faster than they are processed')
    }
    this.#become('closed')
  }

  #become(state: ConnectionState): void {
    if (this.#state === state || this.#state === 'closed') return
    const ms = Math.round(this.stateMs)
    this.#state = state
    this.#since = performance.now()
    if (state === 'away') this.#logger.warn({ liveMs: ms }, 'lost the connection to NATS')
    else if (state === 'live') this.#logger.info({ awayMs: ms, server: this.nats.getServer() }, 'reconnected to NATS')
    for (const listener of [...this.#listeners]) listener(state)
  }

  /**
   * Destroys the socket of a stale connection. The client itself closes it only after the kernel has accepted its last
   * write, and on a cut line with full buffers that never happens.
   */
  #destroySocket(): void {
    const { transport } = (this.nats as unknown as { protocol?: { transport?: { socket?: Socket } } }).protocol ?? {}
    const socket = transport?.socket
    setTimeout(() => socket?.destroy(), DESTROY_MS).unref()
  }

  #warnIfOutdated(): void {
    const version = this.nats.info?.version
    if (version !== undefined && isTooOld(version)) {
      this.#logger.error({ version }, `the NATS server is older than ${OLDEST_VERSION.join('.')}: expect errors`)
    }
  }
}

async function connectWithin(options: JetStreamConnectionOptions, until: number): Promise<NatsConnection> {
  const connectOptions = natsOptions(options)
  let isReported = false
  for (;;) {
    try {
      return await connect(connectOptions)
    } catch (error) {
      const { message } = error as Error
      if (error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError) {
        throw new JetStreamStartError(
          `NATS rejected the credentials (${message}): check user, password, token, nkey or creds file.`,
          { cause: error },
        )
      }
      const urls = options.servers.map(withoutSecrets).join(', ')
      if (performance.now() + RETRY_MS > until) {
        throw new JetStreamStartError(`cannot connect to NATS at ${urls}: ${message}${hint(message)}`, {
          cause: error,
        })
      }
      if (!isReported) options.logger.warn({ servers: urls, reason: message }, 'cannot connect to NATS yet, retrying')
      isReported = true
      await sleep(RETRY_MS)
    }
  }
}

function hint(message: string): string {
  return /certificate/i.test(message) ? '. For a private certificate authority, set PARLEY_NATS_CA to its file.' : ''
}

function natsOptions(options: JetStreamConnectionOptions): NodeConnectionOptions {
  const { servers, name, user, password, token, nkeyFile, credsFile, tls } = options
  return {
    servers: [...servers],
    ...(name === undefined ? {} : { name }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
    ...(token === undefined ? {} : { token }),
    ...(nkeyFile === undefined ? {} : { authenticator: nkeyAuthenticator(readSecret(nkeyFile, 'nkey seed')) }),
    ...(credsFile === undefined ? {} : { authenticator: credsAuthenticator(readSecret(credsFile, 'credentials')) }),
    ...tlsOptions(servers, tls),
    timeout: CONNECT_MS,
    pingInterval: PING_MS,
    maxPingOut: PINGS_OUT,
    maxReconnectAttempts: -1,
    // Credentials may be fixed while this node runs. If it stopped retrying, it would have to be restarted by hand.
    ignoreAuthErrorAbort: true,
    reconnectDelayHandler: () => RECONNECT_MS + Math.random() * RECONNECT_JITTER_MS,
    noAsyncTraces: true,
  }
}

function tlsOptions(servers: readonly string[], files: TlsFiles = {}): Pick<NodeConnectionOptions, 'tls'> {
  const configured = Object.fromEntries(Object.entries(files).filter(([, file]) => file !== undefined))
  const isWanted = Object.keys(configured).length > 0 || servers.some((server) => server.startsWith('tls:'))
  return isWanted ? { tls: configured } : {}
}

function readSecret(file: string, kind: 'nkey seed' | 'credentials'): Uint8Array {
  try {
    const bytes = readFileSync(file)
    // A seed file usually ends with a newline, which does not belong to the seed.
    return kind === 'credentials' ? bytes : Buffer.from(bytes.toString().trim())
  } catch (error) {
    throw new JetStreamStartError(`cannot read the ${kind} file: ${file}`, { cause: error })
  }
}

function checkVersion(nats: NatsConnection): void {
  const version = nats.info?.version ?? 'unknown'
  if (!isTooOld(version)) return
  throw new JetStreamStartError(
    `the NATS server has version ${version}: upgrade it to ${OLDEST_VERSION.join('.')} or newer.`,
  )
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0)
  return major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1])
}

/** Waits until JetStream answers: a starting cluster has no JetStream before it has elected a leader. */
async function waitForJetStream(nats: NatsConnection, until: number): Promise<void> {
  for (;;) {
    let problem: string
    try {
      const reply = await nats.request('$JS.API.INFO', '', { timeout: API_MS })
      const { error } = reply.json<{ error?: { err_code: number; description: string } }>()
      if (error === undefined) return
      problem = error.description
      if (NOT_ENABLED.has(error.err_code)) {
        throw new JetStreamStartError(`JetStream is disabled for this NATS account (${problem}): enable it.`)
      }
    } catch (error) {
      if (error instanceof JetStreamStartError) throw error
      const noResponders = error instanceof NoRespondersError || (error as Error).cause instanceof NoRespondersError
      if (noResponders && nats.info?.jetstream !== true) {
        throw new JetStreamStartError('NATS runs without JetStream: start nats-server with -js or a jetstream block.')
      }
      problem = (error as Error).message
    }
    if (performance.now() + RETRY_MS > until) throw new JetStreamStartError(`JetStream does not answer: ${problem}`)
    await sleep(RETRY_MS)
  }
}

/** @returns the URL without user and password */
export function withoutSecrets(server: string): string {
  return server.replace(/^([a-z]+:\/\/)?[^@/]*@/, '$1')
}

/** Sends a request, and returns its JSON answer. @throws StorageError, also if the answer contains an error */
export async function requestJson<T>(nats: NatsConnection, subject: string, body: string, ms: number): Promise<T> {
  try {
    const reply = await nats.request(subject, body, { timeout: ms })
    const answer = reply.json<T & { readonly error?: { readonly description: string } }>()
    if (answer.error !== undefined) throw new Error(answer.error.description)
    return answer
  } catch (error) {
    throw new StorageError('unavailable', error)
  }
}

/** The JSON value of a message; undefined if it is not JSON: other programs may publish on the same subject. */
export function jsonOf(message: Msg): unknown {
  try {
    return message.json<unknown>()
  } catch {
    return undefined
  }
}
