// StreamSink: a session's entries as the parts of one HTTP answer, server-sent events or lines. What is full, and when there
// is room, the stream knows; all else is the reader's.
import type { ServerFrame } from '@parley/protocol'
import { Semaphore } from '../../limit/semaphore.ts'
import type { MessageData } from '../feed/entry-message.ts'
import type { ReaderSink } from '../feed/reader-ports.ts'
import type { HttpStream } from '../http/http-stream.ts'
import type { RunFilter } from './run-filter.ts'

export type StreamForm = 'sse' | 'ndjson'

export class StreamSink implements ReaderSink {
  readonly codec: StreamForm
  readonly replays = new Semaphore(1)
  readonly #open: () => HttpStream
  readonly #filter: RunFilter | undefined
  #stream: HttpStream | undefined

  /**
   * @param open called when the reader is attached: before, a refusal can still be told in a status
   * @param filter where one run is read: then the stream ends with it
   */
  constructor(open: () => HttpStream, form: StreamForm, filter: RunFilter | undefined) {
    this.codec = form
    this.#open = open
    this.#filter = filter
  }

  get full(): boolean {
    return this.#stream?.full === true
  }

  get unsentBytes(): number {
    return this.#stream?.unsentBytes ?? 0
  }

  writeEntries(data: MessageData): void {
    this.#stream?.write(data)
    if (this.#filter?.over === true) this.#stream?.end()
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
    this.#stream ??= this.#open()
    // Who reads one run is told of the session only what changes what he holds.
    const isOfSession = frame.type === 'live' || (frame.type === 'attached' && frame.reset !== true)
    if (this.#filter !== undefined && isOfSession) return
    const json = JSON.stringify(frame)
    this.#stream.write(this.codec === 'sse' ? `event: ${eventName(frame)}\ndata: ${json}\n\n` : `${json}\n`)
  }

  room(): Promise<boolean> {
    return this.#stream?.room() ?? Promise.resolve(true)
  }

  end(): void {
    this.#stream?.end()
  }

  cut(): void {
    this.#stream?.cut()
  }
}

/** An `EventSource` has an event named `error` of its own. */
function eventName(frame: ServerFrame): string {
  return frame.type === 'error' ? 'notice' : frame.type
}
