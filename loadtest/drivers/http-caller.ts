// HttpCaller: requests of one user over connections of their own, kept alive as browsers and SDKs do. A connection
// that breaks or is silent for too long is a `ConnectionLost`, and nothing is tried again here.
import { Agent, type IncomingMessage, request } from 'node:http'
import type { DriverContext } from './driver.ts'

export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

export interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object
  /** How long the server may be silent beyond what the context allows: it was asked to wait. */
  readonly waitMs?: number
  readonly signal?: AbortSignal
}

export interface Answer {
  readonly status: number
  /** Seconds, where the server tells. */
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

  /** Resolves with the head of the answer. */
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
      // Node counts silence on the socket, also while the answer comes.
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

/** The text of an answer, whole characters at a time; throws `ConnectionLost` when it ends before its end. */
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

/** The problem's code. */
export function codeOf({ status, body }: Answer): string {
  const code = (body as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : `status ${status}`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new ConnectionLost('an answer that is no JSON')
  }
}
