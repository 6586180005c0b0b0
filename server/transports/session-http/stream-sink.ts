// StreamSink: writes a session's entries to one HTTP answer, as server-sent events or NDJSON. The stream decides about
// backpressure; the reader decides everything else.
import type { ServerFrame } from '@parley/protocol'
import type { MessageData } from '../feed/entry-message.ts'
import type { ReaderSink } from '../feed/reader-ports.ts'
import type { HttpStream } from '../http/http-stream.ts'
import { HttpSink } from './http-sink.ts'
import type { RunFilter } from './run-filter.ts'

export type StreamForm = 'sse' | 'ndjson'

export class StreamSink extends HttpSink implements ReaderSink {
  readonly codec: StreamForm
  readonly #open: () => HttpStream
  readonly #filter: RunFilter | undefined

  /**
   * @param open called when the reader is attached: until then, an error can still set the status
   * @param filter set if one run is read: the stream ends with the run
   */
  constructor(open: () => HttpStream, form: StreamForm, filter: RunFilter | undefined) {
    super()
    this.codec = form
    this.#open = open
    this.#filter = filter
  }

  writeEntries(data: MessageData): void {
    this.stream?.write(data)
    if (this.#filter?.ended === true) this.stream?.end()
  }

  write(frame: ServerFrame): void {
    this.stream ??= this.#open()
    // A reader of one run gets only those frames of the session that change what it has.
    const isOfSession = frame.type === 'live' || (frame.type === 'attached' && frame.reset !== true)
    if (this.#filter !== undefined && isOfSession) return
    const json = JSON.stringify(frame)
    this.stream.write(this.codec === 'sse' ? `event: ${eventName(frame)}\ndata: ${json}\n\n` : `${json}\n`)
  }

  end(): void {
    this.stream?.end()
  }

  abort(): void {
    this.stream?.abort()
  }
}

/** `EventSource` uses the event name `error` for its own errors. */
function eventName(frame: ServerFrame): string {
  return frame.type === 'error' ? 'notice' : frame.type
}
