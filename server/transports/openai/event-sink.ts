// EventSink: passes a session's events to a transport that has its own format. The stream decides about backpressure,
// and is opened only when the reader is attached.
import { type Event, parseJson, ReplyError, type ServerFrame } from '@parley/protocol'
import type { MessageData } from '../feed/entry-message.ts'
import type { ReaderSink } from '../feed/reader-ports.ts'
import type { HttpStream } from '../http/http-stream.ts'
import { HttpSink } from '../session-http/http-sink.ts'

export interface EventSinkEvents {
  /** Called once, before the first event. */
  open(): HttpStream
  event(event: Event, stream: HttpStream): void
  /** The events follow again from the beginning. */
  reset(): void
}

export class EventSink extends HttpSink implements ReaderSink {
  readonly codec = 'list'
  readonly #events: EventSinkEvents

  constructor(events: EventSinkEvents) {
    super()
    this.#events = events
  }

  writeEntries(data: MessageData): void {
    const stream = this.stream
    if (stream === undefined) return
    const text = typeof data === 'string' ? data : Buffer.from(data).toString()
    const entries = parseJson(`[${text}]`) as readonly { readonly event: Event }[]
    for (const { event } of entries) if (!stream.closed) this.#events.event(event, stream)
  }

  write(frame: ServerFrame): void {
    if (frame.type === 'attached') {
      this.stream ??= this.#events.open()
      if (frame.reset === true) this.#events.reset()
    }
    // The stream breaks off, and the client's next request gets the error.
    if (frame.type === 'error' && frame.code === new ReplyError('forbidden').code) this.stream?.abort()
  }
}
