// FakeFirefox: the network of a browser that behaves like Firefox, under fake timers. After a WebSocket to a server has
// failed, the browser holds the next ones back without an event, in all tabs, ever longer, while `fetch` gets through. It
// opens one WebSocket at a time: the others wait for it.
import type { WebSocketLike } from '../index.ts'
import { welcome } from './scripted-http.ts'

const FIRST_DELAY_MS = 400
const LONGEST_DELAY_MS = 60_000
const FACTOR = 1.5
const ROUND_TRIP_MS = 20

/** `down`: refuses connections. */
export type Reachability = 'up' | 'down' | 'without WebSockets'

export class FakeFirefox {
  #state: Reachability = 'up'
  #delayMs = 0
  #failedAt = 0
  #names = 0
  readonly #open = new Set<FakeSocket>()
  /** The first one connects, or is delayed. */
  readonly #queue: FakeSocket[] = []
  /** Milliseconds until the server answers a frame. */
  answerMs = ROUND_TRIP_MS

  get state(): Reachability {
    return this.#state
  }

  /** The longest time for which the browser would hold a new WebSocket back now, in milliseconds. */
  get heldMs(): number {
    return Math.max(0, this.#failedAt + this.#delayMs - Date.now())
  }

  become(state: Reachability): void {
    this.#state = state
    if (state === 'down') for (const socket of [...this.#open]) socket.end()
  }

  readonly fetch = async (url: RequestInfo | URL): Promise<Response> => {
    await new Promise((resolve) => setTimeout(resolve, ROUND_TRIP_MS))
    if (this.#state === 'down') throw new TypeError('NetworkError when attempting to fetch resource.')
    if (!String(url).endsWith('/v1/hello')) return new Promise(() => undefined)
    return Response.json(welcome(this.name()))
  }

  /** The class that a client uses. */
  get WebSocket(): new () => WebSocketLike {
    const browser = this
    return class extends FakeSocket {
      constructor() {
        super(browser)
      }
    }
  }

  name(): string {
    this.#names += 1
    return `c${this.#names}`
  }

  connect(socket: FakeSocket): void {
    this.#queue.push(socket)
    if (this.#queue.length === 1) this.#connectFirst()
  }

  /** The page has closed it before it opened. */
  gaveUp(socket: FakeSocket): void {
    const place = this.#queue.indexOf(socket)
    if (place >= 0) this.#queue.splice(place, 1)
    if (place === 0) this.#connectFirst()
  }

  #connectFirst(): void {
    const [socket] = this.#queue
    if (socket !== undefined) setTimeout(() => this.#settle(socket), this.heldMs + ROUND_TRIP_MS)
  }

  #settle(socket: FakeSocket): void {
    if (this.#queue[0] !== socket) return
    if (this.heldMs > 0) {
      this.#connectFirst()
      return
    }
    this.#queue.shift()
    if (this.#state === 'up') {
      this.#open.add(socket)
      this.#delayMs = 0
      socket.open()
    } else socket.end()
    this.#connectFirst()
  }

  failed(socket: FakeSocket): void {
    this.#open.delete(socket)
    this.#failedAt = Date.now()
    this.#delayMs = this.#delayMs === 0 ? FIRST_DELAY_MS : Math.min(LONGEST_DELAY_MS, this.#delayMs * FACTOR)
  }
}

class FakeSocket implements WebSocketLike {
  binaryType = ''
  readyState = 0
  readonly protocol = ''
  onopen: WebSocketLike['onopen'] = null
  onmessage: WebSocketLike['onmessage'] = null
  onclose: WebSocketLike['onclose'] = null
  onerror: WebSocketLike['onerror'] = null
  readonly #browser: FakeFirefox

  constructor(browser: FakeFirefox) {
    this.#browser = browser
    browser.connect(this)
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    const { type } = JSON.parse(String(data)) as { readonly type: string }
    const answer = type === 'hello' ? welcome(this.#browser.name()) : type === 'ping' ? { type: 'pong' } : undefined
    if (answer === undefined) return
    setTimeout(
      () => this.readyState === 1 && this.onmessage?.({ data: JSON.stringify(answer) }),
      this.#browser.answerMs,
    )
  }

  close(): void {
    this.readyState = 3
    this.#browser.gaveUp(this)
  }

  open(): void {
    this.readyState = 1
    this.onopen?.({} as never)
  }

  /** The connection breaks, or cannot be established. */
  end(): void {
    if (this.readyState === 3) return
    this.readyState = 3
    this.#browser.failed(this)
    this.onclose?.({ code: 1006, reason: '' })
  }
}
