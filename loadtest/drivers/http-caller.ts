// HttpCaller: HTTP requests of one user over its own keep-alive connections, as browsers and SDKs make them. A broken
// or silent connection throws `ConnectionLost`; retries are up to the caller.
import { Agent, type IncomingMessage, request } from 'node:http'
import type { DriverContext } from './driver.ts'

export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

export interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object
  /** The server was asked to wait, so it may be silent for this much longer. */
  readonly waitMs?: number
  readonly signal?: AbortSignal
}

export interface Answer {
  readonly status: number
  /** The Retry-After header, in seconds. */
  readonly retryAfter: number | undefined
  readonly body: unknown
}

export interface StreamAnswer {
  readonly status: number
  readonly message: IncomingMessage
}

export class HttpCaller {
  readonly #context: DriverContext
  readonly #agent = new Agent({ keepAlive: true })
  readonly #base: URL

  constructor(context: DriverContext) {
    this.#context = context
    this.#base = new URL(context.url)
  }

  async call(path: string, call: Call = {}): Promise<Answer> {
    const message = await this.open(path, call)
    let text = ''
    for await (const chunk of read(message)) text += chunk
    const retryAfter = retryAfterOf(message)
    return { status: message.statusCode ?? 0, retryAfter, body: text === '' ? undefined : parsed(text) }
  }

  /** Resolves when the headers of the answer have arrived. */
  open(path: string, { method = 'GET', headers = {}, body, waitMs = 0, signal }: Call): Promise<IncomingMessage> {
    const { token, silenceMs, meter } = this.#context
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    return new Promise((resolve, reject) => {
      const lost = (error: Error) => reject(new ConnectionLost(error.message))
      const outgoing = request({
        agent: this.#agent,
        host: this.#base.hostname,
        port: this.#base.port,
        path,
        method,
        ...(signal === undefined ? {} : { signal }),
        headers: {
          ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
          ...(payload === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': payload.length }),
          ...headers,
        },
      })
      outgoing.once('socket', (socket) => meter.watch(socket))
      // Node applies this timeout to the socket, so it also covers the body.
      outgoing.setTimeout(silenceMs + waitMs, () => outgoing.destroy(new Error('silent')))
      outgoing.once('error', lost)
      outgoing.once('response', resolve)
      outgoing.end(payload)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** The text of a body, in chunks of whole characters. @throws ConnectionLost if the body is incomplete */
export async function* read(message: IncomingMessage): AsyncGenerator<string> {
  message.setEncoding('utf8')
  try {
    for await (const chunk of message) yield chunk as string
  } catch (error) {
    throw new ConnectionLost(error instanceof Error ? error.message : 'cut')
  }
  if (!message.complete) throw new ConnectionLost('cut')
}

export function retryAfterOf(message: IncomingMessage): number | undefined {
  const seconds = Number(message.headers['retry-after'] ?? Number.NaN)
  return Number.isFinite(seconds) ? seconds : undefined
}

/** Whether the same request may succeed later. */
export function isRetryable(answer: Answer): boolean {
  return answer.status >= 400 && (answer.body as { retryable?: unknown } | undefined)?.retryable === true
}

/** The code of the problem document, else the status. */
export function codeOf({ status, body }: Answer): string {
  const code = (body as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : `status ${status}`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new ConnectionLost('the answer is not JSON')
  }
}
