// EventSink: a session's entries as events, for a door that says them in words of its own. Whether there is room, the stream
// that they end up in knows; nothing is sent before the reader is attached.
import { type Event, ReplyError, type ServerFrame } from '@parley/protocol'
import { Semaphore } from '../../limit/semaphore.ts'
import type { MessageData } from '../feed/entry-message.ts'
import type { ReaderSink } from '../feed/reader-ports.ts'
import type { HttpStream } from '../http/http-stream.ts'

export interface EventSinkEvents {
  /** Called once, before the first event. */
  open(): HttpStream
  event(event: Event, stream: HttpStream): void
}

export class EventSink implements ReaderSink {
  readonly codec = 'list'
  readonly replays = new Semaphore(1)
  readonly #events: EventSinkEvents
  #stream: HttpStream | undefined

  constructor(events: EventSinkEvents) {
    this.#events = events
  }

  get stream(): HttpStream | undefined {
    return this.#stream
  }

  get full(): boolean {
    return this.#stream?.full === true
  }

  get unsentBytes(): number {
    return this.#stream?.unsentBytes ?? 0
  }

  writeEntries(data: MessageData): void {
    const stream = this.#stream
    if (stream === undefined) return
    const text = typeof data === 'string' ? data : Buffer.from(data).toString()
    const entries = JSON.parse(`[${text}]`) as readonly { readonly event: Event }[]
    for (const { event } of entries) if (!stream.closed) this.#events.event(event, stream)
  }

  takesBroadcast(): boolean {
    return false
  }

  subscribe(): void {
    // Broadcasts are of WebSockets.
  }

  unsubscribe(): void {
    // Broadcasts are of WebSockets.
  }

  write(frame: ServerFrame): void {
    if (frame.type === 'attached') this.#stream ??= this.#events.open()
    // The client is told by the end of its stream, and comes back.
    if (frame.type === 'error' && frame.code === new ReplyError('forbidden').code) this.#stream?.end()
  }

  room(): Promise<boolean> {
    return this.#stream?.room() ?? Promise.resolve(true)
  }
}
