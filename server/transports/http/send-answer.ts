// sendAnswer: sends a whole answer. A client may send many requests and read nothing, and uWS would keep all answers in memory. So an
// answer only ends when the socket has taken it: uWS closes a connection that sends the next request earlier.
import type { HttpResponse } from '../uws.ts'
import { type Headers, writeHead } from './response-head.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Undefined or empty: none. */
  readonly body?: Uint8Array | undefined
  /** Sends only the length of the body, as for HEAD. */
  readonly bodiless: boolean
  /** Closes the connection after the answer. */
  readonly closes?: boolean
}

export interface AnswerEvents {
  /** Whether the client is still connected. */
  readonly isOpen: () => boolean
  /** Part of the body waits for the socket. */
  readonly waits?: (bytes: number) => void
  /** The response must not be used again. */
  readonly ended: () => void
}

/** The response must have an abort listener. */
export function sendAnswer(response: HttpResponse, answer: Answer, { isOpen, waits, ended }: AnswerEvents): void {
  const { body, bodiless, closes } = answer
  if (body === undefined || body.length === 0 || bodiless || closes === true) {
    // uWS does not tell whether the socket takes these. They end after the turn, in which uWS passes on all requests that it has received.
    setImmediate(() => {
      if (!isOpen()) return
      sendSmall(response, answer)
      ended()
    })
    return
  }
  let hasEnded = false
  response.cork(() => {
    writeHead(response, answer.status, answer.headers)
    hasEnded = response.tryEnd(body, body.length)[1]
  })
  if (hasEnded) {
    ended()
    return
  }
  response.onWritable((offset) => {
    const [isSent, hasEnded] = response.tryEnd(body.subarray(offset), body.length)
    if (hasEnded) ended()
    return isSent
  })
  waits?.(body.length)
}

function sendSmall(response: HttpResponse, { status, headers, body, bodiless, closes }: Answer): void {
  response.cork(() => {
    writeHead(response, status, headers)
    if (bodiless && body !== undefined) response.endWithoutBody(body.length)
    else if (bodiless || status === 204 || status === 304) response.endWithoutBody()
    else response.end(body ?? '', closes ?? false)
  })
}
