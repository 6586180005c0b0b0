// ProviderRequest: sends a node's request to its provider and passes the response on as it arrives. Node's own HTTP client costs
// less for each chunk than `fetch`, and lets the relay hold the provider back.
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type { RelayFault, RelayHead } from './relay-frame.ts'
import type { RelaySource } from './relay-stream.ts'
import type { RelayTargets } from './relay-target.ts'

/** What a node asks the relay to send. */
export interface ProviderCall {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface ProviderSink {
  head(head: RelayHead): void
  push(chunk: Buffer): void
  finish(): void
  fail(fault: RelayFault): void
}

/** Faults that are not those of a socket. */
export const PROVIDER_FAULTS = {
  refusedRedirect: {
    code: 'relay_redirect',
    message: 'The provider redirected the request to an address that the relay may not request.',
  },
  cut: { code: 'ECONNRESET', message: 'The provider closed the connection within its response.' },
} as const satisfies Record<string, RelayFault>

/** Idle connections are closed before providers close them, which is usually after some minutes. */
const KEEP_ALIVE = { keepAlive: true, keepAliveMsecs: 30_000, timeout: 60_000 } as const
const MAX_REDIRECTS = 3
/** Headers that belong to one connection (RFC 9110, section 7.6.1), or that the relay sets itself. */
const OWN_HEADERS =
  /^(connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|host|content-length|expect)$/i

export class ProviderRequests {
  readonly #http = new HttpAgent(KEEP_ALIVE)
  readonly #https = new HttpsAgent(KEEP_ALIVE)
  readonly #targets: RelayTargets

  constructor(targets: RelayTargets) {
    this.#targets = targets
  }

  send(call: ProviderCall, sink: ProviderSink): RelaySource {
    return new ProviderRequest(call, sink, this.#targets, { http: this.#http, https: this.#https })
  }

  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }
}

class ProviderRequest implements RelaySource {
  readonly #sink: ProviderSink
  readonly #targets: RelayTargets
  readonly #agents: { readonly http: HttpAgent; readonly https: HttpsAgent }
  #request: ClientRequest | undefined
  #body: Readable | undefined
  #isPaused = false
  #isOver = false

  constructor(
    call: ProviderCall,
    sink: ProviderSink,
    targets: RelayTargets,
    agents: { readonly http: HttpAgent; readonly https: HttpsAgent },
  ) {
    this.#sink = sink
    this.#targets = targets
    this.#agents = agents
    this.#send(call, 0)
  }

  pause(): void {
    this.#isPaused = true
    this.#body?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#body?.resume()
  }

  abort(): void {
    this.#isOver = true
    this.#request?.destroy()
    this.#body?.destroy()
  }

  #send(call: ProviderCall, redirects: number): void {
    const { method, url, headers, body } = call
    const isHttps = url.protocol === 'https:'
    const sent: Record<string, string | number> = { 'content-length': body.length, 'accept-encoding': 'identity' }
    for (const [name, value] of Object.entries(headers)) {
      if (!OWN_HEADERS.test(name) && name.toLowerCase() !== 'accept-encoding') sent[name] = value
    }
    const agent = isHttps ? this.#agents.https : this.#agents.http
    const request = (isHttps ? requestHttps : requestHttp)(url.href, { method, headers: sent, agent })
    this.#request = request
    request.setNoDelay(true)
    request.on('response', (response) => this.#respond(response, call, redirects))
    request.on('error', (error) => this.#fail(error))
    request.end(body)
  }

  #respond(response: IncomingMessage, call: ProviderCall, redirects: number): void {
    const status = response.statusCode ?? 0
    const location = response.headers.location
    // The methods of model calls survive only these two.
    if ((status === 307 || status === 308) && location !== undefined) {
      response.resume()
      const url = URL.canParse(location, call.url.href) ? new URL(location, call.url) : undefined
      // Another host must not get the key that was meant for this one.
      const isSame = url?.hostname === call.url.hostname && (url.protocol === 'https:' || call.url.protocol === 'http:')
      if (url === undefined || !isSame || !this.#targets(url) || redirects >= MAX_REDIRECTS) {
        return this.#over(() => this.#sink.fail(PROVIDER_FAULTS.refusedRedirect))
      }
      return this.#send({ ...call, url }, redirects + 1)
    }
    const encoding = response.headers['content-encoding']?.trim().toLowerCase()
    const headers: [string, string][] = []
    for (const [name, value] of Object.entries(response.headers)) {
      if (OWN_HEADERS.test(name) || name === 'content-encoding' || value === undefined) continue
      for (const item of Array.isArray(value) ? value : [value]) headers.push([name, item])
    }
    this.#sink.head({ status, headers })
    const body = decoded(response, encoding)
    this.#body = body
    body.on('data', (chunk: Buffer) => {
      if (!this.#isOver) this.#sink.push(chunk)
    })
    body.on('end', () => this.#over(() => this.#sink.finish()))
    body.on('error', (error) => this.#fail(error))
    response.on('error', (error) => this.#fail(error))
    response.on('close', () => {
      if (!response.complete) this.#over(() => this.#sink.fail(PROVIDER_FAULTS.cut))
    })
    if (this.#isPaused) body.pause()
  }

  #fail(error: NodeJS.ErrnoException): void {
    this.#over(() =>
      this.#sink.fail({ code: error.code ?? 'ECONNRESET', message: 'The request to the provider failed.' }),
    )
  }

  #over(tell: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    tell()
  }
}

/** The relay asks for an uncompressed body, but not every server does what it is asked. */
function decoded(response: IncomingMessage, encoding: string | undefined): Readable {
  if (encoding === 'gzip' || encoding === 'x-gzip') return response.pipe(createGunzip())
  if (encoding === 'deflate') return response.pipe(createInflate())
  if (encoding === 'br') return response.pipe(createBrotliDecompress())
  return response
}
