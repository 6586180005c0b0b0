// HttpCaller: requests to one server, each with the access token and this client's name. Every request ends: with an
// answer, by its timeout, or with the transport.
import type { Clock } from '../../client-options.ts'
import { given } from '../../given.ts'
import { failureOf, HttpFailure, hasMediaType } from './http-failure.ts'

const JSON_TYPE = 'application/json'

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** The path after the server's address. */
  readonly path: string
  /** Default: JSON. */
  readonly accept?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** Timeout of the answer, or of a stream's head, in milliseconds. */
  readonly timeoutMs: number
  /** Aborts the request. Without a signal, `close` does. */
  readonly signal?: AbortSignal
  /** The browser completes the request even if the page is closed. */
  readonly keepalive?: true
}

export interface HttpAnswer {
  /** The parsed JSON; undefined if there is no body. */
  readonly body: unknown
  header(name: string): string | undefined
}

export interface HttpCallerOptions {
  /** Without a trailing `/`. */
  readonly url: string
  readonly token: () => Promise<string | undefined>
  readonly fetch: typeof fetch
  readonly clock: Clock
  readonly connection: string
  /** Sent if there is no access token. */
  readonly client?: () => string
  /** The transport over which this client reads, as the protocol names it. */
  readonly readsOver?: string
}

export class HttpCaller {
  readonly #options: HttpCallerOptions
  /** Aborts the requests without a signal of their own. */
  #closing = new AbortController()
  #token: { readonly value: string | undefined } | undefined

  constructor(options: HttpCallerOptions) {
    this.#options = options
  }

  /** Aborts the requests in progress. */
  close(): void {
    this.#closing.abort()
    // The last requests follow.
    this.#closing = new AbortController()
  }

  /** The next request gets the access token again. */
  renew(): void {
    this.#token = undefined
  }

  /** Reads a complete answer. @throws HttpFailure */
  async json(call: HttpCall): Promise<HttpAnswer> {
    const { answer, release } = await this.#withTimeout(call, async (signal) => {
      const response = await this.#exchange(call, signal)
      const body: unknown = response.status === 204 ? undefined : await response.json()
      return { body, header: (name: string) => response.headers.get(name) ?? undefined }
    })
    release()
    return answer
  }

  /** Reads an answer's head; the body is a stream without a timeout. @throws HttpFailure */
  async stream(call: HttpCall): Promise<ReadableStream<Uint8Array>> {
    const { answer } = await this.#withTimeout(call, async (signal) => {
      const { body } = await this.#exchange(call, signal)
      if (body === null) throw new HttpFailure('intermediary', 'The answer has no body.')
      return body
    })
    // The signal stays connected, because it also aborts the body.
    return answer
  }

  async #withTimeout<T>(
    call: HttpCall,
    use: (signal: AbortSignal) => Promise<T>,
  ): Promise<{ readonly answer: T; release(): void }> {
    const { clock } = this.#options
    const controller = new AbortController()
    const end = (): void => controller.abort()
    const { signal = this.#closing.signal } = call
    const release = (): void => signal.removeEventListener('abort', end)
    if (signal.aborted) end()
    signal.addEventListener('abort', end)
    let isTimedOut = false
    const cancel = clock.after(call.timeoutMs, () => {
      isTimedOut = true
      controller.abort()
    })
    try {
      return { answer: await use(controller.signal), release }
    } catch (error) {
      release()
      if (isTimedOut)
        throw new HttpFailure('timeout', `The server did not answer within ${call.timeoutMs} ms.`, { cause: error })
      if (error instanceof HttpFailure) throw error
      throw new HttpFailure('network', 'Couldn’t reach the server.', { cause: error })
    } finally {
      cancel()
    }
  }

  async #exchange(call: HttpCall, signal: AbortSignal): Promise<Response> {
    this.#token ??= { value: await this.#options.token() }
    const used = this.#token
    let response = await this.#send(call, used.value, signal)
    if (response.status === 401) {
      // The access token may have expired: try a fresh one.
      const value = await this.#options.token()
      this.#token = { value }
      if (value !== used.value) {
        await response.body?.cancel()
        response = await this.#send(call, value, signal)
      }
    }
    if (!response.ok) throw await failureOf(response)
    const { accept = JSON_TYPE } = call
    if (response.status === 204 || hasMediaType(response, accept)) return response
    await response.body?.cancel().catch(() => undefined)
    throw new HttpFailure('intermediary', `Expected an answer of type ${accept}.`)
  }

  #send(call: HttpCall, token: string | undefined, signal: AbortSignal): Promise<Response> {
    const { url, connection, client, readsOver } = this.#options
    const { method, path, accept = JSON_TYPE, headers, body, keepalive = false } = call
    return this.#options.fetch(`${url}${path}`, {
      method,
      headers: {
        // Without problems, a stream that is refused only for now would be an event with status 200.
        Accept: accept === 'text/event-stream' ? `${accept}, application/problem+json` : accept,
        'Parley-Connection': connection,
        ...given({
          'Parley-Door': readsOver,
          Authorization: token === undefined ? undefined : `Bearer ${token}`,
          'Parley-Client': token === undefined ? client?.() : undefined,
          'Content-Type': body === undefined ? undefined : JSON_TYPE,
        }),
        ...headers,
      },
      ...given({ body: JSON.stringify(body) }),
      cache: 'no-store',
      keepalive,
      signal,
    })
  }
}
