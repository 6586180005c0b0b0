// HttpCaller: requests to one server, with the token and this client's name on each. Every request ends: by its answer,
// by its time, or with the link.
import type { Clock } from '../../client-options.ts'
import { failureOf, HttpFailure, isOf } from './http-failure.ts'

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** After the server's address. */
  readonly path: string
  readonly accept: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** Milliseconds: until the answer is here, or, of a stream, its head. */
  readonly timeoutMs: number
  /** Ends it before its time; left out: `close` does. */
  readonly signal?: AbortSignal
  /** It is to go out also when the page is left. */
  readonly keepalive?: true
}

export interface HttpAnswer {
  /** Undefined when it has none. */
  readonly body: unknown
  header(name: string): string | undefined
}

export interface HttpCallerOptions {
  /** Without a last `/`. */
  readonly url: string
  readonly token: () => Promise<string | undefined>
  readonly fetch: typeof fetch
  readonly clock: Clock
  readonly connection: string
  /** Told where there is no token. */
  readonly client?: () => string
  /** The door that this client reads by, as it is told to the server. */
  readonly door?: string
}

export class HttpCaller {
  readonly #options: HttpCallerOptions
  /** Calls that nobody else ends. */
  readonly #calls = new Set<AbortController>()
  #token: { readonly value: string | undefined } | undefined

  constructor(options: HttpCallerOptions) {
    this.#options = options
  }

  /** Ends what is under way. */
  close(): void {
    for (const controller of this.#calls) controller.abort()
  }

  /** The next request asks for the token again. */
  renew(): void {
    this.#token = undefined
  }

  /** An answer that is here as a whole. @throws HttpFailure */
  async json(call: HttpCall): Promise<HttpAnswer> {
    const { answer, release } = await this.#within(call, async (signal) => {
      const response = await this.#answer(call, signal)
      const body: unknown = response.status === 204 ? undefined : await response.json()
      return { body, header: (name: string) => response.headers.get(name) ?? undefined }
    })
    release()
    return answer
  }

  /** An answer whose body comes bit by bit; its time is over with its head. @throws HttpFailure */
  async stream(call: HttpCall): Promise<ReadableStream<Uint8Array>> {
    const { answer } = await this.#within(call, async (signal) => {
      const { body } = await this.#answer(call, signal)
      if (body === null) throw new HttpFailure('foreign', 'The answer has no body.')
      return body
    })
    // The signal is not let go of: it ends the body, too.
    return answer
  }

  async #within<T>(
    call: HttpCall,
    use: (signal: AbortSignal) => Promise<T>,
  ): Promise<{ readonly answer: T; release(): void }> {
    const { clock } = this.#options
    const controller = new AbortController()
    const end = (): void => controller.abort()
    const release = (): void => {
      call.signal?.removeEventListener('abort', end)
      this.#calls.delete(controller)
    }
    if (call.signal === undefined) this.#calls.add(controller)
    else if (call.signal.aborted) end()
    call.signal?.addEventListener('abort', end)
    let late = false
    const cancel = clock.after(call.timeoutMs, () => {
      late = true
      controller.abort()
    })
    try {
      return { answer: await use(controller.signal), release }
    } catch (error) {
      release()
      if (late) throw new HttpFailure('late', 'The server did not answer in time.', { cause: error })
      if (error instanceof HttpFailure) throw error
      throw new HttpFailure('network', 'The server was not reached.', { cause: error })
    } finally {
      cancel()
    }
  }

  async #answer(call: HttpCall, signal: AbortSignal): Promise<Response> {
    this.#token ??= { value: await this.#options.token() }
    const used = this.#token
    let response = await this.#send(call, used.value, signal)
    if (response.status === 401) {
      // The token may have run out: one asked for now may be taken.
      const value = await this.#options.token()
      this.#token = { value }
      if (value !== used.value) {
        await response.body?.cancel()
        response = await this.#send(call, value, signal)
      }
    }
    if (!response.ok) throw await failureOf(response)
    if (response.status === 204 || isOf(response, call.accept)) return response
    await response.body?.cancel().catch(() => undefined)
    throw new HttpFailure('foreign', `The answer is not ${call.accept}.`)
  }

  #send(call: HttpCall, token: string | undefined, signal: AbortSignal): Promise<Response> {
    const { url, connection, client, door } = this.#options
    const { method, path, accept, headers, body, keepalive = false } = call
    return this.#options.fetch(`${url}${path}`, {
      method,
      headers: {
        Accept: accept,
        'Parley-Connection': connection,
        ...(door === undefined ? {} : { 'Parley-Door': door }),
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(token !== undefined || client === undefined ? {} : { 'Parley-Client': client() }),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      cache: 'no-store',
      keepalive,
      signal,
    })
  }
}
