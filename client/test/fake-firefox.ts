// FakeFirefox: the network of a browser that behaves like Firefox, under fake timers. After a WebSocket to a server has
// failed, the browser holds the next ones back without an event, in all tabs, ever longer, while `fetch` gets through.
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

  opened(socket: FakeSocket): void {
    this.#open.add(socket)
    this.#delayMs = 0
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
    setTimeout(() => this.#connect(), browser.heldMs + ROUND_TRIP_MS)
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    const { type } = JSON.parse(String(data)) as { readonly type: string }
    const answer = type === 'hello' ? welcome(this.#browser.name()) : type === 'ping' ? { type: 'pong' } : undefined
    if (answer === undefined) return
    setTimeout(() => this.readyState === 1 && this.onmessage?.({ data: JSON.stringify(answer) }), ROUND_TRIP_MS)
  }

  close(): void {
    this.readyState = 3
  }

  /** The connection breaks, or cannot be established. */
  end(): void {
    if (this.readyState === 3) return
    this.readyState = 3
    this.#browser.failed(this)
    this.onclose?.({ code: 1006, reason: '' })
  }

  #connect(): void {
    // If the page has closed it meanwhile, it did not fail.
    if (this.readyState === 3) return
    if (this.#browser.heldMs > 0) {
      setTimeout(() => this.#connect(), this.#browser.heldMs)
      return
    }
    if (this.#browser.state !== 'up') {
      this.end()
      return
    }
    this.readyState = 1
    this.#browser.opened(this)
    this.onopen?.({} as never)
  }
}
