// TcpProxy: a network in one object. It stands between two peers on loopback and can be cut, go silent, or be slow,
// and be healed again. What was sent into a silent network is kept by the sockets and arrives once it heals, as TCP
// would have it; nothing is ever reordered or lost without the connection ending.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/**
 * `cut`: connections break, and new ones are refused. `silent`: connections stand, and nothing comes through; whoever
 * connects anew hears nothing. `slow`: everything comes later.
 */
export type Weather =
  | { readonly kind: 'fair' }
  | { readonly kind: 'cut' }
  | { readonly kind: 'silent' }
  | { readonly kind: 'slow'; readonly ms: number }

const FAIR: Weather = { kind: 'fair' }

export class TcpProxy {
  readonly #server: Server
  readonly #target: number
  readonly #pairs = new Set<Pair>()
  #weather: Weather = FAIR
  #closed = false

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => this.#accept(socket))
  }

  /**
   * @param target the port on loopback that it leads to
   * @param port where it listens; 0 picks a free one
   */
  static async open(target: number, port = 0): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    proxy.#server.listen(port, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get connections(): number {
    return this.#pairs.size
  }

  get weather(): Weather {
    return this.#weather
  }

  change(weather: Weather): void {
    this.#weather = weather
    for (const pair of this.#pairs) pair.change(weather)
  }

  heal(): void {
    this.change(FAIR)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const pair of this.#pairs) pair.end()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  #accept(near: Socket): void {
    if (this.#weather.kind === 'cut' || this.#closed) {
      near.on('error', () => near.destroy())
      near.resetAndDestroy()
      return
    }
    const far = connect({ port: this.#target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    near.setNoDelay(true)
    const pair = new Pair(near, far, () => this.#pairs.delete(pair))
    this.#pairs.add(pair)
    pair.change(this.#weather)
  }
}

/** Bytes on their way through a slow network, in one direction, beyond which the sender is held back. */
const ON_THE_WAY_BYTES = 4 * 1024 * 1024

class Pair {
  readonly #flows: readonly [Flow, Flow]
  readonly #over: () => void
  #ended = false

  constructor(near: Socket, far: Socket, over: () => void) {
    this.#flows = [new Flow(near, far), new Flow(far, near)]
    this.#over = over
    let open = 2
    for (const socket of [near, far]) {
      // Either end's loss is the other's. Where both said that they were done, what is on its way still arrives.
      socket.on('error', () => this.end())
      socket.once('close', () => {
        open -= 1
        if (open === 0 || !socket.readableEnded) this.end()
      })
    }
  }

  change(weather: Weather): void {
    if (weather.kind === 'cut') return this.end()
    for (const flow of this.#flows) flow.change(weather)
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const flow of this.#flows) flow.end()
    this.#over()
  }
}

/** One direction of a connection. */
class Flow {
  readonly #from: Socket
  readonly #to: Socket
  #weather: Weather = FAIR
  #blocked = false
  /** What a slow network carries, with the moment at which it arrives; the end of the stream as undefined. */
  #onTheWay: { readonly at: number; readonly chunk: Buffer | undefined }[] = []
  #bytes = 0
  #timer: NodeJS.Timeout | undefined

  constructor(from: Socket, to: Socket) {
    this.#from = from
    this.#to = to
    from.on('data', (chunk: Buffer) => this.#take(chunk))
    from.pause()
    from.on('end', () => this.#take(undefined))
    to.on('drain', () => {
      this.#blocked = false
      this.#steer()
    })
  }

  change(weather: Weather): void {
    this.#weather = weather
    this.#arrive()
    this.#steer()
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#onTheWay = []
    this.#from.resetAndDestroy()
  }

  #take(chunk: Buffer | undefined): void {
    const delay = this.#weather.kind === 'slow' ? this.#weather.ms : 0
    // Nothing overtakes what is on the way already.
    if (delay === 0 && this.#onTheWay.length === 0 && this.#weather.kind !== 'silent') return this.#pass(chunk)
    this.#onTheWay.push({ at: performance.now() + delay, chunk })
    this.#bytes += chunk?.length ?? 0
    this.#arrive()
    this.#steer()
  }

  #arrive(): void {
    clearTimeout(this.#timer)
    if (this.#weather.kind === 'silent') return
    const now = performance.now()
    for (;;) {
      const next = this.#onTheWay[0]
      if (next === undefined) break
      if (next.at > now) {
        this.#timer = setTimeout(() => {
          this.#arrive()
          this.#steer()
        }, next.at - now)
        break
      }
      this.#onTheWay.shift()
      this.#bytes -= next.chunk?.length ?? 0
      this.#pass(next.chunk)
    }
  }

  #pass(chunk: Buffer | undefined): void {
    if (chunk === undefined) this.#to.end()
    else if (!this.#to.write(chunk)) {
      this.#blocked = true
      this.#steer()
    }
  }

  /** Reads on only while the other side takes it: what a silent network swallows stays with the sender. */
  #steer(): void {
    if (this.#weather.kind === 'silent' || this.#blocked || this.#bytes > ON_THE_WAY_BYTES) this.#from.pause()
    else this.#from.resume()
  }
}
