// PageSink: collects a session's entries into one page of limited size, for polls. The page is done when it is full,
// or when the reader has caught up and the page has an entry or need not wait for one.
import type { ServerFrame } from '@parley/protocol'
import type { MessageData } from '../feed/entry-message.ts'
import type { ReaderSink } from '../feed/reader-ports.ts'
import { HttpSink } from './http-sink.ts'
import type { RunFilter } from './run-filter.ts'

export interface PageDone {
  /** Whether the page reaches the end of the log. */
  readonly live: boolean
}

/** Approximate bytes of JSON in a page: a batch of entries is not split. */
const PAGE_BYTES = 256 * 1024

export class PageSink extends HttpSink implements ReaderSink {
  readonly codec = 'list'
  readonly #filter: RunFilter | undefined
  readonly #done: (done: PageDone) => void
  #items: string[] = []
  #bytes = 0
  #reset = false
  #role = ''
  #live = false
  #waits: boolean
  #isDone = false

  /** @param waits whether to wait for an entry @param done called once */
  constructor(options: {
    readonly waits: boolean
    readonly filter: RunFilter | undefined
    readonly done: (done: PageDone) => void
  }) {
    super()
    this.#waits = options.waits
    this.#filter = options.filter
    this.#done = options.done
  }

  /** Frames, separated by commas. */
  get items(): string {
    return this.#items.join(',')
  }

  get empty(): boolean {
    return this.#items.length === 0
  }

  /** The user's role in the session. */
  get role(): string {
    return this.#role
  }

  get reset(): boolean {
    return this.#reset
  }

  override get full(): boolean {
    return this.#bytes >= PAGE_BYTES
  }

  writeEntries(data: MessageData): void {
    const text = typeof data === 'string' ? data : Buffer.from(data).toString()
    this.#items.push(text)
    this.#bytes += text.length
    // Deferred, so that entries of the same turn are included and the reader has updated its position.
    if (this.#live || this.#filter?.ended === true) setImmediate(() => this.#finish(true))
  }

  write(frame: ServerFrame): void {
    if (frame.type === 'attached') this.#role = frame.role
    if (frame.type === 'attached' && frame.reset === true) {
      this.#reset = true
      this.#items = []
      this.#bytes = 0
    } else if (frame.type === 'live') {
      this.#live = true
      if (!this.empty || this.#reset || !this.#waits) this.#finish(true)
    }
  }

  override async whenWritable(): Promise<boolean> {
    if (!this.full) return true
    this.#finish(false)
    return false
  }

  /** Finishes even with an empty page, once the reader has caught up. */
  stopWaiting(): void {
    this.#waits = false
    if (this.#live) this.#finish(true)
  }

  #finish(live: boolean): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#done({ live })
  }
}
