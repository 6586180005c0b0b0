// ImpairingProxy: a TCP proxy between users and a server that does to connections what bad networks do. It knows no protocol:
// what it cuts is cut in the midst of whatever is said.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { type Random, randomOf } from '../random.ts'
import { ImpairedPipe } from './impaired-pipe.ts'
import type { Impairments, Rate } from './impairments.ts'

/** A period's victims are spread over this many moments in it. */
const MOMENTS = 10

interface Passage {
  readonly sockets: readonly [Socket, Socket]
  readonly pipes: readonly [ImpairedPipe, ImpairedPipe]
  /** Nothing passes any more: it is met by nothing further. */
  lost: boolean
}

export interface ProxyCounts {
  connections: number
  cuts: number
  stalls: number
  blackholes: number
}

export class ImpairingProxy {
  readonly counts: ProxyCounts = { connections: 0, cuts: 0, stalls: 0, blackholes: 0 }
  readonly #impairments: Impairments
  readonly #server: Server
  readonly #passages = new Set<Passage>()
  readonly #timers: NodeJS.Timeout[] = []
  readonly #random: Random

  private constructor(target: URL, impairments: Impairments, seed: number) {
    this.#impairments = impairments
    this.#random = randomOf(seed, 'proxy', target.host)
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#pass(socket, target))
    const { cut, stall, blackhole } = impairments
    this.#meet(cut, (passage) => {
      this.counts.cuts += 1
      for (const socket of passage.sockets) socket.resetAndDestroy()
    })
    this.#meet(stall, (passage) => {
      this.counts.stalls += 1
      for (const pipe of passage.pipes) pipe.hold(stall?.forMs ?? 0)
    })
    this.#meet(blackhole, (passage) => {
      this.counts.blackholes += 1
      passage.lost = true
      for (const pipe of passage.pipes) pipe.hold(Number.POSITIVE_INFINITY)
    })
  }

  /** Listens on loopback, at a port of its own. */
  static async start(target: string, impairments: Impairments, seed: number): Promise<ImpairingProxy> {
    const proxy = new ImpairingProxy(new URL(target), impairments, seed)
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject)
      proxy.#server.listen(0, '127.0.0.1', 4096, resolve)
    })
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    for (const { sockets } of this.#passages) for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #pass(near: Socket, target: URL): void {
    this.counts.connections += 1
    const far = connect({ host: target.hostname, port: Number(target.port), noDelay: true, allowHalfOpen: true })
    const pipes = [
      new ImpairedPipe(near, far, this.#impairments, this.#random),
      new ImpairedPipe(far, near, this.#impairments, this.#random),
    ] as const
    const passage: Passage = { sockets: [near, far], pipes, lost: false }
    this.#passages.add(passage)
    const end = () => {
      this.#passages.delete(passage)
      for (const pipe of pipes) pipe.close()
      // In a black hole the other side hears of nothing; it has to find out by itself.
      if (!passage.lost) for (const socket of passage.sockets) socket.destroy()
    }
    for (const socket of passage.sockets) {
      // What went wrong `close` follows in any case.
      socket.on('error', () => undefined)
      socket.once('close', end)
    }
  }

  /** Meets just the share that is asked for over time: what is left of a whole connection is kept for the next moment. */
  #meet(rate: Rate | undefined, effect: (passage: Passage) => void): void {
    if (rate === undefined) return
    let owed = 0
    const timer = setInterval(() => {
      const open = [...this.#passages].filter(({ lost }) => !lost)
      owed += (open.length * rate.share) / MOMENTS
      for (; owed >= 1 && open.length > 0; owed -= 1) {
        const [met] = open.splice(Math.floor(this.#random() * open.length), 1)
        if (met !== undefined) effect(met)
      }
    }, rate.everyMs / MOMENTS)
    this.#timers.push(timer)
  }
}
