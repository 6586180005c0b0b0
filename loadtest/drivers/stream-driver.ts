// StreamDriver: reads the answer from the response of its POST, as SSE or NDJSON. If the stream breaks before the run
// is known, it repeats the request with the same key; later it reads the run's events from its cursor.
import type { IncomingMessage } from 'node:http'
import type { EntryFrame, ServerFrame } from '@parley/protocol'
import { type AskRequest, type DriverContext, Refused } from './driver.ts'
import { ConnectionLost, codeOf, isRetryable, read, retryAfterOf } from './http-caller.ts'
import { HttpDriver } from './http-driver.ts'

const ACCEPT = { sse: 'text/event-stream', ndjson: 'application/x-ndjson' } as const

interface Reading {
  run: string | undefined
  cursor: string | undefined
}

export class StreamDriver extends HttpDriver {
  readonly #form: keyof typeof ACCEPT

  constructor(context: DriverContext, form: keyof typeof ACCEPT) {
    super(context)
    this.#form = form
  }

  override async ask(request: AskRequest): Promise<void> {
    const reading: Reading = { run: undefined, cursor: undefined }
    let forget: (() => void) | undefined
    let interrupted = false
    for (let attempt = 0; ; attempt += 1) {
      let wait: number | undefined
      try {
        const message = await this.#open(request, reading)
        if (message.statusCode !== 200) wait = await refusal(message)
        else {
          if (interrupted) request.watch.resumed()
          interrupted = false
          for await (const frame of frames(message, this.#form)) {
            if (frame.type === 'attached' && frame.reset === true) {
              request.watch.reset()
              request.verifier.reset()
            }
            if (frame.type !== 'entry') continue
            attempt = 0
            const ended = this.#take(request, reading, frame)
            if (reading.run !== undefined) forget ??= this.#cancelable(request, reading.run)
            if (ended) {
              forget?.()
              message.resume()
              return
            }
          }
        }
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error
      }
      if (!interrupted) request.watch.interrupted()
      interrupted = true
      await this.pause(attempt, wait)
    }
  }

  #open(request: AskRequest, { run, cursor }: Reading): Promise<IncomingMessage> {
    const headers: Record<string, string> = { Accept: ACCEPT[this.#form] }
    if (run === undefined || cursor === undefined) {
      headers['Idempotency-Key'] = request.id
      return this.caller.open(`${this.path}/messages`, { method: 'POST', headers, body: this.body(request) })
    }
    // EventSource sends the last id in a header; NDJSON clients send the cursor in the query.
    if (this.#form === 'sse') headers['Last-Event-ID'] = cursor
    const after = this.#form === 'sse' ? '' : `&after=${cursor}`
    return this.caller.open(`${this.path}/events?run=${run}${after}`, { headers })
  }

  #take(request: AskRequest, reading: Reading, frame: EntryFrame): boolean {
    reading.cursor = frame.cursor
    if (frame.event.type === 'message' && frame.event.id === request.id) reading.run = frame.event.run
    return this.entry(request, frame)
  }

  #cancelable(request: AskRequest, run: string): () => void {
    const headers = { 'Idempotency-Key': `${request.id}-cancel` }
    return this.cancelOnAbort(request, () =>
      this.requestUntilFinal(`${this.path}/cancel`, { method: 'POST', headers, body: { run } }),
    )
  }
}

/** @returns seconds to wait. @throws Refused if retrying does not help */
async function refusal(message: IncomingMessage): Promise<number | undefined> {
  let text = ''
  for await (const chunk of read(message)) text += chunk
  const answer = { status: message.statusCode ?? 0, retryAfter: retryAfterOf(message), body: problemOf(text) }
  if (!isRetryable(answer)) throw new Refused(codeOf(answer))
  return answer.retryAfter
}

function problemOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function* frames(message: IncomingMessage, form: 'sse' | 'ndjson'): AsyncGenerator<ServerFrame> {
  let rest = ''
  for await (const chunk of read(message)) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const text = form === 'ndjson' ? line : line.startsWith('data:') ? line.slice(5) : ''
      if (text.trim() !== '') yield JSON.parse(text) as ServerFrame
    }
  }
}
