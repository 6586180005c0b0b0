// PageSink: a session's entries as one bounded list, for who asks now and then. It is done when the page is full, or when
// the reader has caught up and something is in it, or need not be.
import type { ServerFrame } from '@parley/protocol'
import { Semaphore } from '../../limit/semaphore.ts'
import type { MessageData } from '../feed/entry-message.ts'
import type { ReaderSink } from '../feed/reader-ports.ts'
import type { RunFilter } from './run-filter.ts'

export interface PageDone {
  /** All up to now is in the page. */
  readonly live: boolean
}

/** Bytes of JSON in a page, about: a batch that was read is not cut. */
const PAGE_BYTES = 256 * 1024

export class PageSink implements ReaderSink {
  readonly codec = 'list'
  readonly replays = new Semaphore(1)
  readonly #filter: RunFilter | undefined
  readonly #done: (done: PageDone) => void
  #items: string[] = []
  #bytes = 0
  #reset = false
  #role = ''
  #live = false
  #waits: boolean
  #isDone = false

  /** @param waits whether an empty page is not done yet @param done called once */
  constructor(options: {
    readonly waits: boolean
    readonly filter: RunFilter | undefined
    readonly done: (done: PageDone) => void
  }) {
    this.#waits = options.waits
    this.#filter = options.filter
    this.#done = options.done
  }

  /** Frames with commas between. */
  get items(): string {
    return this.#items.join(',')
  }

  get empty(): boolean {
    return this.#items.length === 0
  }

  /** The reader's, in the session. */
  get role(): string {
    return this.#role
  }

  get reset(): boolean {
    return this.#reset
  }

  get full(): boolean {
    return this.#bytes >= PAGE_BYTES
  }

  /** A page goes out at once, when it is done. */
  get unsentBytes(): number {
    return 0
  }

  writeEntries(data: MessageData): void {
    const text = typeof data === 'string' ? data : Buffer.from(data).toString()
    this.#items.push(text)
    this.#bytes += text.length
    // Not now: what the same turn brings comes along, and the reader has yet to note where it is.
    if (this.#live || this.#filter?.over === true) setImmediate(() => this.#finish(true))
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

  async room(): Promise<boolean> {
    if (!this.full) return true
    this.#finish(false)
    return false
  }

  /** The wait is over: an empty page will do. */
  waitNoMore(): void {
    this.#waits = false
    if (this.#live) this.#finish(true)
  }

  #finish(live: boolean): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#done({ live })
  }
}
