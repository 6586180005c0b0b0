// TcpProxy: simulates a network between two peers on loopback. It can be cut, silent or slow, and heal again. As with
// TCP, data sent into a silent network arrives after it heals; nothing is reordered, or lost without the connection
// ending.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/**
 * `cut`: connections break, and new ones are refused. `silent`: connections stay open, also new ones, but no data
 * passes. `slow`: data is delayed.
 */
export type NetworkCondition =
  | { readonly kind: 'fair' }
  | { readonly kind: 'cut' }
  | { readonly kind: 'silent' }
  | { readonly kind: 'slow'; readonly ms: number }

const FAIR: NetworkCondition = { kind: 'fair' }

export class TcpProxy {
  readonly #server: Server
  readonly #target: number
  readonly #pairs = new Set<Pair>()
  #condition: NetworkCondition = FAIR
  #closed = false

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => this.#accept(socket))
  }

  /**
   * @param target the port on loopback to connect to
   * @param port the port to listen on; 0 picks a free one
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

  get condition(): NetworkCondition {
    return this.#condition
  }

  change(condition: NetworkCondition): void {
    this.#condition = condition
    for (const pair of this.#pairs) pair.change(condition)
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
    if (this.#condition.kind === 'cut' || this.#closed) {
      near.on('error', () => near.destroy())
      near.resetAndDestroy()
      return
    }
    const far = connect({ port: this.#target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    near.setNoDelay(true)
    const pair = new Pair(near, far, () => this.#pairs.delete(pair))
    this.#pairs.add(pair)
    pair.change(this.#condition)
  }
}

/** Limit of delayed bytes per direction; above it the proxy applies backpressure. */
const DELAYED_BYTES_MAX = 4 * 1024 * 1024

class Pair {
  readonly #flows: readonly [Flow, Flow]
  readonly #over: () => void
  #ended = false

  constructor(near: Socket, far: Socket, over: () => void) {
    this.#flows = [new Flow(near, far), new Flow(far, near)]
    this.#over = over
    let open = 2
    for (const socket of [near, far]) {
      // Losing one side ends the other. If both sides have finished, delayed data still arrives.
      socket.on('error', () => this.end())
      socket.once('close', () => {
        open -= 1
        if (open === 0 || !socket.readableEnded) this.end()
      })
    }
  }

  change(condition: NetworkCondition): void {
    if (condition.kind === 'cut') return this.end()
    for (const flow of this.#flows) flow.change(condition)
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
  #condition: NetworkCondition = FAIR
  #blocked = false
  /** Delayed chunks with their arrival time; undefined marks the end of the stream. */
  #delayed: { readonly at: number; readonly chunk: Buffer | undefined }[] = []
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
      this.#applyBackpressure()
    })
  }

  change(condition: NetworkCondition): void {
    this.#condition = condition
    this.#deliver()
    this.#applyBackpressure()
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#delayed = []
    this.#from.resetAndDestroy()
  }

  #take(chunk: Buffer | undefined): void {
    const delay = this.#condition.kind === 'slow' ? this.#condition.ms : 0
    // New data must not overtake delayed data.
    if (delay === 0 && this.#delayed.length === 0 && this.#condition.kind !== 'silent') return this.#pass(chunk)
    this.#delayed.push({ at: performance.now() + delay, chunk })
    this.#bytes += chunk?.length ?? 0
    this.#deliver()
    this.#applyBackpressure()
  }

  #deliver(): void {
    clearTimeout(this.#timer)
    if (this.#condition.kind === 'silent') return
    const now = performance.now()
    for (;;) {
      const next = this.#delayed[0]
      if (next === undefined) break
      if (next.at > now) {
        this.#timer = setTimeout(() => {
          this.#deliver()
          this.#applyBackpressure()
        }, next.at - now)
        break
      }
      this.#delayed.shift()
      this.#bytes -= next.chunk?.length ?? 0
      this.#pass(next.chunk)
    }
  }

  #pass(chunk: Buffer | undefined): void {
    if (chunk === undefined) this.#to.end()
    else if (!this.#to.write(chunk)) {
      this.#blocked = true
      this.#applyBackpressure()
    }
  }

  /** Reads only while the other side accepts data, so that a silent network leaves the data with the sender. */
  #applyBackpressure(): void {
    if (this.#condition.kind === 'silent' || this.#blocked || this.#bytes > DELAYED_BYTES_MAX) this.#from.pause()
    else this.#from.resume()
  }
}
