// RelayFetch: a `fetch` that sends the requests of model calls through a relay (server/relay). The relay keeps the response, so the next
// owner of the run can read it from its beginning. A header names the stream: the AI SDK's packages pass the headers of a call on.
// If no relay accepts the request, it goes to the provider directly.
import { createHash } from 'node:crypto'
import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  type RequestOptions,
  request as requestHttp,
} from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { Logger } from 'pino'
import { stallTolerantTimeout } from '../store/stall-tolerant-timeout.ts'
import { RelayLostError, relayedResponse } from './relayed-response.ts'

type Fetch = typeof globalThis.fetch

/** The stream of one model call. */
export interface RelayedCall {
  /** Unique for each request to a provider. 1 to 256 of `A-Z a-z 0-9 _ . -`. */
  readonly key: string
  /** The attempt of the run. A relay ignores the end of a lower one. */
  readonly attempt: number
  /** `start` sends the request. `resume` reads the response of an earlier attempt. */
  readonly mode: 'start' | 'resume'
}

export interface RelayOptions {
  /** `http:`, `https:` or `unix:` followed by a path. */
  readonly urls: readonly string[]
  readonly secret: string
  readonly logger: Logger
  /** A request went to its provider directly. */
  readonly onBypass?: (reason: string) => void
}

export const RELAY_HEADER = 'parley-relayed-call'

/** @returns the headers that make `RelayFetch` use the relay for a call */
export function relayHeaders({ mode, attempt, key }: RelayedCall): Record<string, string> {
  return { [RELAY_HEADER]: `${mode} ${attempt} ${key}` }
}

/** Milliseconds until a relay has accepted a connection and sent its status. It does so before the provider responds. */
const ACCEPT_MS = 3_000
/** Milliseconds for which an unreachable relay is not tried again. */
const AVOID_MS = 5_000
const RELEASE_MS = 5_000
/** Milliseconds for which a connection is kept for the next request. */
const IDLE_MS = 30_000
/** Milliseconds for which the next driver of a run waits for a relay. A pause is better than a lost answer. */
const FIND_MS = 5_000

type Answer = { readonly response: IncomingMessage } | { readonly refused: string }

export class Relay {
  readonly #relays: readonly Endpoint[]
  readonly #options: RelayOptions
  /** Responses that were found for the next driver, and are not read yet. */
  readonly #found = new Map<string, IncomingMessage>()
  /** The relays that have the responses of this node's calls. */
  readonly #holders = new Map<string, Endpoint>()

  constructor(options: RelayOptions) {
    this.#options = options
    this.#relays = options.urls.map((url) => new Endpoint(url, options.secret))
  }

  /** @param direct sends requests without a relay */
  fetch(direct: Fetch): Fetch {
    return async (input, init) => {
      const headers = new Headers(init?.headers)
      const call = callOf(headers.get(RELAY_HEADER))
      if (call === undefined) return direct(input, init)
      headers.delete(RELAY_HEADER)
      const signal = init?.signal ?? undefined
      signal?.throwIfAborted()
      if (call.mode === 'resume') return this.#resume(call, signal)
      const plain = { ...init, headers }
      return (await this.#start(call, String(input), plain)) ?? direct(input, plain)
    }
  }

  /**
   * Looks for the response to an earlier driver's request, and keeps it for the `resume` of that call. From then on, no relay accepts
   * that request from the earlier driver. Ends with `release` or `leave`.
   */
  async find(call: RelayedCall): Promise<boolean> {
    for (const relay of this.#ranked(call.key)) {
      const answer = await relay.send('GET', call, undefined, undefined, FIND_MS)
      if (!('response' in answer)) {
        // Without its beginning, the response is of no use.
        if (answer.refused === 'status_410') await relay.release(call.key, call.attempt)
        continue
      }
      answer.response.on('error', () => undefined)
      this.#found.set(call.key, answer.response)
      this.#holders.set(call.key, relay)
      return true
    }
    return false
  }

  /** The run no longer needs the response. Errors are not reported: the relay ends unread streams itself. */
  async release({ key, attempt }: RelayedCall): Promise<void> {
    const holder = this.#holders.get(key)
    this.leave(key)
    await holder?.release(key, attempt)
  }

  /** Ends the response to a request of any driver: its run has ended. Errors are not reported. */
  async abandon({ key, attempt }: RelayedCall): Promise<void> {
    for (const relay of this.#ranked(key)) {
      if (!relay.isAvoided && (await relay.release(key, attempt))) return
    }
  }

  /** Leaves the response to the next driver of the run. */
  leave(key: string): void {
    this.#holders.delete(key)
    this.#found.get(key)?.destroy()
    this.#found.delete(key)
  }

  close(): void {
    for (const relay of this.#relays) relay.close()
  }

  /** @returns undefined if no relay accepts the request */
  async #start(call: RelayedCall, url: string, init: RequestInit): Promise<Response | undefined> {
    const { method = 'GET', headers, body, signal } = init
    if (body !== undefined && body !== null && typeof body !== 'string') return this.#bypass('unsupported_body')
    const line = JSON.stringify({ method, url, headers: Object.fromEntries(new Headers(headers)) })
    const content = Buffer.from(`${line}\n${body ?? ''}`)
    let reason = 'unreachable'
    for (const relay of this.#ranked(call.key)) {
      if (relay.isAvoided) continue
      const answer = await relay.send('POST', call, content, signal ?? undefined, ACCEPT_MS)
      if ('response' in answer) {
        this.#holders.set(call.key, relay)
        return relayedResponse(answer.response, signal ?? undefined)
      }
      if (answer.refused === 'status_409') throw new RelayLostError('Another driver of the run has the response.')
      reason = answer.refused
    }
    return this.#bypass(reason)
  }

  async #resume({ key }: RelayedCall, signal: AbortSignal | undefined): Promise<Response> {
    const found = this.#found.get(key)
    this.#found.delete(key)
    if (found === undefined || found.destroyed) throw new RelayLostError('The relay closed the response.')
    return relayedResponse(found, signal)
  }

  #bypass(reason: string): undefined {
    this.#options.onBypass?.(reason)
    this.#options.logger.warn({ reason }, 'no relay accepted a model call; sending it to the provider directly')
  }

  /** Rendezvous hashing: all nodes find the relay of a key, and a relay that is added or removed moves few keys. */
  #ranked(key: string): readonly Endpoint[] {
    if (this.#relays.length < 2) return this.#relays
    const weight = ({ url }: Endpoint): string => createHash('sha256').update(`${url} ${key}`).digest('hex')
    return this.#relays
      .map((relay) => ({ relay, weight: weight(relay) }))
      .sort((a, b) => (a.weight < b.weight ? 1 : -1))
      .map(({ relay }) => relay)
  }
}

/** One relay. */
class Endpoint {
  readonly url: string
  readonly #secret: string
  readonly #agent: HttpAgent | HttpsAgent
  readonly #request: typeof requestHttp
  readonly #base: RequestOptions
  #avoidUntil = Number.NEGATIVE_INFINITY

  constructor(url: string, secret: string) {
    this.url = url
    this.#secret = secret
    const isHttps = url.startsWith('https:')
    this.#request = isHttps ? requestHttps : requestHttp
    // Shorter than the time after which a relay closes idle connections.
    this.#agent = new (isHttps ? HttpsAgent : HttpAgent)({ keepAlive: true, timeout: IDLE_MS })
    this.#base = baseOf(url)
  }

  get isAvoided(): boolean {
    return performance.now() < this.#avoidUntil
  }

  close(): void {
    this.#agent.destroy()
  }

  send(
    method: 'POST' | 'GET',
    call: RelayedCall,
    content: Buffer | undefined,
    signal: AbortSignal | undefined,
    acceptMs: number,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = this.#request(this.#optionsOf(method, call.key, call.attempt, content))
      const stopTimeout = stallTolerantTimeout(acceptMs, () => request.destroy(new Error('timeout')))
      const abort = (): void => {
        request.destroy()
        reject(signal?.reason)
      }
      const settle = (): void => {
        stopTimeout()
        signal?.removeEventListener('abort', abort)
      }
      signal?.addEventListener('abort', abort)
      request.on('response', (response) => {
        settle()
        if (response.statusCode === 200) return resolve({ response })
        response.resume()
        response.on('error', () => undefined)
        resolve({ refused: `status_${response.statusCode}` })
      })
      request.on('error', (error: NodeJS.ErrnoException) => {
        settle()
        if (isStale(request, error) && signal?.aborted !== true) {
          return resolve(this.send(method, call, content, signal, acceptMs))
        }
        this.#avoidUntil = performance.now() + AVOID_MS
        resolve({ refused: 'unreachable' })
      })
      request.end(content)
    })
  }

  /** @returns whether the relay had the response */
  release(key: string, attempt: number): Promise<boolean> {
    return new Promise((resolve) => {
      const request = this.#request({ ...this.#optionsOf('DELETE', key, attempt), timeout: RELEASE_MS })
      request.on('response', (response) => {
        response.resume()
        resolve(response.statusCode !== 404)
      })
      request.on('timeout', () => request.destroy(new Error('timeout')))
      request.on('error', (error) => resolve(isStale(request, error) ? this.release(key, attempt) : false))
      request.end()
    })
  }

  #optionsOf(method: string, key: string, attempt: number, content?: Buffer): RequestOptions {
    const path = `${this.#base.path ?? ''}/v1/streams/${key}`
    const headers = {
      authorization: `Bearer ${this.#secret}`,
      'parley-attempt': String(attempt),
      ...(content === undefined ? {} : { 'content-length': content.length }),
    }
    return { ...this.#base, method, path, headers, agent: this.#agent }
  }
}

/** The relay, or a proxy, closed the idle connection just before the request. */
function isStale(request: ClientRequest, error: NodeJS.ErrnoException): boolean {
  return request.reusedSocket && error.code === 'ECONNRESET'
}

function baseOf(url: string): RequestOptions {
  if (url.startsWith('unix:')) return { socketPath: url.slice('unix:'.length).replace(/^\/\/(?=\/)/, '') }
  const { hostname, port, pathname } = new URL(url)
  return { hostname: hostname.replace(/^\[|\]$/g, ''), port, path: pathname.replace(/\/$/, '') }
}

function callOf(text: string | null): RelayedCall | undefined {
  const [, mode, attempt, key] = /^(start|resume) (\d+) ([A-Za-z0-9_.-]{1,256})$/.exec(text ?? '') ?? []
  if (mode === undefined || key === undefined) return undefined
  return { mode: mode as RelayedCall['mode'], attempt: Number(attempt), key }
}
