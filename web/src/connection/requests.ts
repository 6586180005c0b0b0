// Requests: the HTTP requests that the page makes next to its connection: members, invitations, titles. Each ends
// within a timeout, and each failure is a ParleyError.
import { ParleyError } from '@parley/client'

type Code = ConstructorParameters<typeof ParleyError>[0]
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

const TIMEOUT_MS = 15_000

export class Requests {
  readonly #origin: string
  readonly #token: () => string | undefined

  /** @param token returns the access token at the time of a request */
  constructor(origin: string, token: () => string | undefined) {
    this.#origin = origin
    this.#token = token
  }

  /** @returns the body of the response; undefined if it is empty @throws ParleyError */
  async send(method: Method, path: string, body?: object): Promise<unknown> {
    const token = this.#token()
    let response: Response
    let text: string
    try {
      response = await fetch(this.#origin + path, {
        method,
        headers: {
          Accept: 'application/json',
          ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        cache: 'no-store',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      text = await response.text()
    } catch {
      throw new ParleyError('disconnected', 'Couldn’t reach the server.', true)
    }
    if (!response.ok) throw problemOf(response, text)
    const answer = jsonOf(text)
    if (answer === undefined && text !== '') throw new ParleyError('internal', 'The server sent invalid JSON.', true)
    return answer
  }
}

/** Where the routes of a session begin. */
export function sessionPath(session: string): string {
  return `/v1/sessions/${encodeURIComponent(session)}`
}

/** The error of an unsuccessful response. A body that is not a problem document comes from a proxy: retryable. */
export function problemOf(response: Response, body: string): ParleyError {
  const { code, detail, title, retryable } = (jsonOf(body) ?? {}) as Readonly<Record<string, unknown>>
  const seconds = Number(response.headers.get('Retry-After'))
  const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : undefined
  const message = [detail, title].find((text) => typeof text === 'string')
  if (typeof code !== 'string') {
    return new ParleyError('unavailable', `The server responded with status ${response.status}.`, true, retryAfterMs)
  }
  return new ParleyError(code as Code, message ?? code, retryable === true, retryAfterMs)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Empty, or not JSON.
    return undefined
  }
}
