// RelayServer: holds the responses of providers, so that a run survives the process that drives it. A node sends its request
// through the relay under a key that is in the log; the next owner of the run reads the same response again from the beginning.
//
//   POST   /v1/streams/{key}            sends a request to a provider: a line of JSON (`RelayCall`), then the body. The response has
//                                       the frames of relay-frame.ts and starts at once.
//   GET    /v1/streams/{key}?offset=0   the same frames, from an offset in the provider's body
//   DELETE /v1/streams/{key}            releases the stream, and closes its request if that is still open
//   GET    /healthz /readyz /metrics
//
// Each of the first three has `Authorization: Bearer <secret>` and `Parley-Attempt`, the attempt of the run. A stream belongs to the
// secret that started it. An error is JSON with a code of `RELAY_ERRORS`.
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { RelayMetrics } from '../metric/relay-metrics.ts'
import { DeliveryRounds } from './delivery-rounds.ts'
import { ProviderRequests } from './provider-request.ts'
import { relayResponse } from './relay-response.ts'
import { RelayBytes, RelayStream } from './relay-stream.ts'
import type { RelayTargets } from './relay-target.ts'

export const RELAY_ERRORS = {
  malformed: [400, 'The request is malformed.'],
  unauthenticated: [401, 'The secret is unknown.'],
  target_forbidden: [403, 'The relay may not request this address. Add its base URL to PARLEY_RELAY_TARGETS.'],
  unknown_stream: [404, 'The relay has no stream of this key.'],
  not_found: [404, 'Not found.'],
  stream_exists: [409, 'The relay already has a stream of this key.'],
  replaced: [409, 'A later driver of the run has this stream, or asked for it.'],
  trimmed: [410, 'The relay no longer has the beginning of this stream.'],
  too_large: [413, 'The request is too large.'],
  bad_offset: [416, 'The stream has not reached this offset.'],
  full: [503, 'The relay holds as many streams or bytes as it may.'],
  draining: [503, 'The relay is shutting down.'],
} as const satisfies Record<string, readonly [number, string]>

export type RelayErrorCode = keyof typeof RELAY_ERRORS

export interface RelayLimits {
  readonly streams: number
  /** Bytes kept of one stream. */
  readonly streamBytes: number
  /** Bytes kept of all streams and requests. */
  readonly bytes: number
  /** Bytes of a request. */
  readonly requestBytes: number
  /** Milliseconds that a stream is kept without a reader. */
  readonly orphanMs: number
  /** Milliseconds that a stream may last. */
  readonly streamMs: number
}

export interface RelayServerOptions {
  readonly secrets: readonly string[]
  readonly targets: RelayTargets
  readonly limits: RelayLimits
  readonly metricsToken?: string | undefined
  readonly logger: Logger
}

/** What a node sends in the first line. */
export const RelayCall = z.strictObject({
  method: z.enum(['GET', 'POST']),
  url: z.url({ protocol: /^https?$/ }),
  headers: z.record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/), z.string().regex(/^[^\r\n\0]*$/)),
})
export type RelayCall = z.infer<typeof RelayCall>

const KEY = /^\/v1\/streams\/([A-Za-z0-9_.-]{1,256})$/
/** Bytes of the first line of a request. */
const MAX_CALL_BYTES = 64 * 1024
const HEADERS_MS = 10_000
const REQUEST_MS = 60_000
/** Longer than nodes keep idle connections. */
const IDLE_MS = 75_000
const CONNECTIONS = 20_000
/** A driver that was slow for so long (ms) has lost its run and learns of it. */
const FENCE_MS = 60_000
const FENCES = 10_000
/** Milliseconds between the refusal of an unfinished request and the end of its connection. */
const LINGER_MS = 500

class RelayError extends Error {
  readonly code: RelayErrorCode

  constructor(code: RelayErrorCode) {
    super(RELAY_ERRORS[code][1])
    this.code = code
  }
}

export class RelayServer {
  readonly #options: RelayServerOptions
  readonly #secrets: readonly Buffer[]
  readonly #requests: ProviderRequests
  readonly #bytes: RelayBytes
  readonly #rounds = new DeliveryRounds()
  /** By the index of the secret and the key. */
  readonly #streams = new Map<string, RelayStream>()
  /** Keys for which a next driver asked in vain. */
  readonly #fences = new Set<string>()
  readonly #server: Server
  #metrics: RelayMetrics | undefined
  #isDraining = false
  #drained: (() => void) | undefined

  constructor(options: RelayServerOptions) {
    this.#options = options
    this.#secrets = options.secrets.map(digest)
    this.#requests = new ProviderRequests(options.targets)
    this.#bytes = new RelayBytes(options.limits.bytes)
    const times = { headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS, keepAliveTimeout: IDLE_MS, noDelay: true }
    this.#server = createServer(times, (request, response) => void this.#answer(request, response))
    this.#server.maxConnections = CONNECTIONS
  }

  get held(): { readonly streams: number; readonly bytes: number } {
    return { streams: this.#streams.size, bytes: this.#bytes.used }
  }

  set metrics(metrics: RelayMetrics) {
    this.#metrics = metrics
  }

  /** Rejects with the error of the socket, such as EADDRINUSE. */
  async listen(address: { readonly host: string; readonly port: number } | { readonly path: string }): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(address, resolve)
    })
    // Such as a process without free file descriptors. Later connections may succeed.
    this.#server.on('error', (error) => this.#options.logger.error({ err: error }, 'failed to accept a connection'))
    const bound = this.#server.address()
    return typeof bound === 'object' && bound !== null ? bound.port : 0
  }

  /** Refuses new streams, and resolves when the last one is released, or orphaned. */
  async drain(): Promise<void> {
    this.#isDraining = true
    if (this.#streams.size === 0) return
    await new Promise<void>((resolve) => {
      this.#drained = resolve
    })
  }

  /** Closes all streams at once. */
  async close(): Promise<void> {
    this.#isDraining = true
    for (const stream of [...this.#streams.values()]) stream.close()
    this.#requests.close()
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://relay')
      const key = KEY.exec(pathname)?.[1]
      if (key === undefined) return await this.#answerOther(pathname, request, response)
      const owner = this.#authenticate(request)
      const attempt = attemptOf(request)
      const id = `${owner} ${key}`
      if (request.method === 'POST') await this.#start(id, attempt, request, response)
      else if (request.method === 'GET') this.#read(id, attempt, searchParams.get('offset') ?? '0', response)
      else if (request.method === 'DELETE') this.#release(id, attempt, response)
      else throw new RelayError('not_found')
    } catch (error) {
      this.#refuse(error, request, response)
    }
  }

  async #answerOther(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new RelayError('not_found')
    if (path === '/healthz') return replyJson(response, 200, { status: 'ok' })
    if (path === '/readyz') {
      if (this.#isDraining) throw new RelayError('draining')
      return replyJson(response, 200, { status: 'ready' })
    }
    const { metricsToken } = this.#options
    if (path !== '/metrics' || metricsToken === undefined || this.#metrics === undefined) {
      throw new RelayError('not_found')
    }
    if (!timingSafeEqual(digest(bearerOf(request)), digest(metricsToken))) throw new RelayError('unauthenticated')
    const { registry } = this.#metrics
    const text = await registry.metrics()
    response.writeHead(200, { 'Content-Type': registry.contentType, 'Cache-Control': 'no-store' }).end(text)
  }

  async #start(id: string, attempt: number, request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#checkRoom(id)
    const { limits, targets } = this.#options
    const length = Number(request.headers['content-length'] ?? 0)
    if (length > limits.requestBytes) throw new RelayError('too_large')
    const received = await this.#receive(request)
    let held = received.length
    const letGo = (): void => {
      this.#bytes.add(-held)
      held = 0
    }
    try {
      // Its node is gone, so nobody waits for the response.
      if (response.destroyed || request.socket.destroyed) throw new RelayError('malformed')
      const call = callOf(received)
      if (!targets(call.url)) throw new RelayError('target_forbidden')
      // Another request may have been faster.
      this.#checkRoom(id)
      // The response is read only after this function, so the stream exists by then.
      const source = this.#requests.send(call, {
        head: (head) => {
          letGo()
          stream.head(head)
        },
        push: (chunk) => {
          this.#metrics?.received.inc(chunk.length)
          stream.push(chunk)
        },
        finish: () => stream.finish(),
        fail: (fault) => {
          letGo()
          stream.fail(fault)
        },
      })
      const timer = setTimeout(() => stream.close(), limits.streamMs)
      const stream: RelayStream = new RelayStream(
        {
          key: id,
          source,
          bytes: this.#bytes,
          rounds: this.#rounds,
          maxBytes: limits.streamBytes,
          orphanMs: limits.orphanMs,
          onGone: (reason) => {
            clearTimeout(timer)
            letGo()
            this.#streams.delete(id)
            if (reason === 'orphaned') this.#metrics?.orphaned.inc()
            if (this.#streams.size === 0) this.#drained?.()
          },
        },
        attempt,
      )
      this.#streams.set(id, stream)
      this.#metrics?.started.inc()
      relayResponse(stream, response, 0, attempt)
    } catch (error) {
      letGo()
      throw error
    }
  }

  /** @throws RelayError replaced, stream_exists, draining, full */
  #checkRoom(id: string): void {
    if (this.#fences.has(id)) throw new RelayError('replaced')
    const existing = this.#streams.get(id)
    // The node repeats a refused request in another form.
    if (existing?.isRefused === true) existing.close()
    else if (existing !== undefined) throw new RelayError('stream_exists')
    if (this.#isDraining) throw new RelayError('draining')
    if (this.#streams.size < this.#options.limits.streams && !this.#bytes.isFull) return
    // The owner of a complete stream had the time to read it. An open one is being paid for.
    const unread = [...this.#streams.values()].find((stream) => stream.isComplete && !stream.hasReaders)
    if (unread === undefined) throw new RelayError('full')
    unread.close()
    this.#checkRoom(id)
  }

  /** The bytes count as held from the first one on. */
  async #receive(request: IncomingMessage): Promise<Buffer> {
    const chunks: Buffer[] = []
    let bytes = 0
    try {
      // Otherwise, leaving the loop would destroy the socket before the answer is sent.
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        bytes += chunk.length
        this.#bytes.add(chunk.length)
        if (bytes > this.#options.limits.requestBytes) throw new RelayError('too_large')
        if (this.#bytes.isFull) throw new RelayError('full')
        chunks.push(chunk)
      }
    } catch (error) {
      this.#bytes.add(-bytes)
      throw error instanceof RelayError ? error : new RelayError('malformed')
    }
    return Buffer.concat(chunks)
  }

  #read(id: string, attempt: number, offsetText: string, response: ServerResponse): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) {
      this.#fence(id)
      throw new RelayError('unknown_stream')
    }
    const offset = /^\d{1,15}$/.test(offsetText) ? Number(offsetText) : Number.NaN
    if (Number.isNaN(offset)) throw new RelayError('malformed')
    if (offset > stream.end) throw new RelayError('bad_offset')
    if (offset < stream.start) {
      this.#metrics?.trimmed.inc()
      throw new RelayError('trimmed')
    }
    this.#metrics?.resumed.inc()
    relayResponse(stream, response, offset, attempt)
  }

  /** The next driver of the run will send a request of its own. So the earlier driver, which may only be slow, must not send this one. */
  #fence(id: string): void {
    const oldest = this.#fences.size < FENCES ? undefined : this.#fences.values().next().value
    if (oldest !== undefined) this.#fences.delete(oldest)
    this.#fences.add(id)
    setTimeout(() => this.#fences.delete(id), FENCE_MS).unref()
  }

  #release(id: string, attempt: number, response: ServerResponse): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) throw new RelayError('unknown_stream')
    if (!stream.release(attempt)) throw new RelayError('replaced')
    response.writeHead(204).end()
  }

  /** @returns the index of the secret @throws RelayError unauthenticated */
  #authenticate(request: IncomingMessage): number {
    const sent = digest(bearerOf(request))
    const index = this.#secrets.findIndex((secret) => timingSafeEqual(secret, sent))
    if (index === -1) throw new RelayError('unauthenticated')
    return index
  }

  #refuse(error: unknown, request: IncomingMessage, response: ServerResponse): void {
    const code = error instanceof RelayError ? error.code : undefined
    if (code === undefined) this.#options.logger.error({ err: error }, 'failed to answer a request')
    else this.#metrics?.refused.inc({ code })
    if (response.headersSent) {
      response.destroy()
      return
    }
    const [status, message] = code === undefined ? [500, 'The relay failed.'] : RELAY_ERRORS[code]
    if (!request.complete) {
      response.setHeader('Connection', 'close')
      // The client reads the answer before its connection breaks, if it does not insist on sending the rest.
      response.once('finish', () => setTimeout(() => request.destroy(), LINGER_MS).unref())
    }
    replyJson(response, status, { code: code ?? 'internal', message })
  }
}

/** @throws RelayError malformed */
function callOf(received: Buffer): { method: string; url: URL; headers: Record<string, string>; body: Buffer } {
  const end = received.subarray(0, MAX_CALL_BYTES + 1).indexOf(0x0a)
  if (end === -1) throw new RelayError('malformed')
  let line: unknown
  try {
    line = JSON.parse(received.toString('utf8', 0, end))
  } catch {
    throw new RelayError('malformed')
  }
  const parsed = RelayCall.safeParse(line)
  if (!parsed.success) throw new RelayError('malformed')
  return { ...parsed.data, url: new URL(parsed.data.url), body: received.subarray(end + 1) }
}

/** @throws RelayError malformed */
function attemptOf({ headers }: IncomingMessage): number {
  const text = headers['parley-attempt']
  if (typeof text !== 'string' || !/^\d{1,9}$/.test(text)) throw new RelayError('malformed')
  return Number(text)
}

function bearerOf({ headers }: IncomingMessage): string {
  return /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function replyJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  response.end(JSON.stringify(body))
}
