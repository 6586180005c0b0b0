// Requests: what the page asks the server beside what goes over its connection: lists, members, invitations, titles.
// Each ends within its time, and what fails does so with a ParleyError.
import { ParleyError } from '@parley/client'

type Code = ConstructorParameters<typeof ParleyError>[0]
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

const TIMEOUT_MS = 15_000

export class Requests {
  readonly #origin: string
  readonly #token: () => string | undefined

  /** @param token as it is at the time of a request */
  constructor(origin: string, token: () => string | undefined) {
    this.#origin = origin
    this.#token = token
  }

  /** @returns the answer's body; undefined when it has none @throws ParleyError */
  async ask(method: Method, path: string, body?: object): Promise<unknown> {
    const token = this.#token()
    let response: Response
    let answer: unknown
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
      const text = await response.text()
      answer = text === '' ? undefined : JSON.parse(text)
    } catch (error) {
      if (error instanceof SyntaxError)
        throw new ParleyError('internal', 'The server’s answer is not understood.', true)
      throw new ParleyError('disconnected', 'The server was not reached.', true)
    }
    if (!response.ok) throw refusal(answer, response)
    return answer
  }
}

/** Where the routes of a session begin. */
export function sessionPath(session: string): string {
  return `/v1/sessions/${encodeURIComponent(session)}`
}

function refusal(body: unknown, response: Response): ParleyError {
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Readonly<Record<string, unknown>>
  const code = typeof problem.code === 'string' ? (problem.code as Code) : 'internal'
  const said = problem.detail ?? problem.title
  const message = typeof said === 'string' ? said : `The server answered with ${response.status}.`
  const seconds = Number(response.headers.get('Retry-After'))
  const wait = Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : undefined
  return new ParleyError(code, message, problem.retryable === true, wait)
}
