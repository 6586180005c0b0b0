// ImpairingProxy: a TCP proxy that cuts, stalls and delays connections as bad networks do. It parses no protocol, so it
// cuts at any byte.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { type Random, randomOf } from '../random.ts'
import { ImpairedPipe } from './impaired-pipe.ts'
import type { Impairments, Rate } from './impairments.ts'

/** The proxy applies a rate this many times per period, to spread its effect. */
const SLOTS = 10

interface ProxiedConnection {
  readonly sockets: readonly [Socket, Socket]
  readonly pipes: readonly [ImpairedPipe, ImpairedPipe]
  /** In a black hole; no further impairment applies. */
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
  readonly #connections = new Set<ProxiedConnection>()
  readonly #timers: NodeJS.Timeout[] = []
  readonly #random: Random

  private constructor(target: URL, impairments: Impairments, seed: number) {
    this.#impairments = impairments
    this.#random = randomOf(seed, 'proxy', target.host)
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#pass(socket, target))
    const { cut, stall, blackhole } = impairments
    this.#applyAt(cut, (connection) => {
      this.counts.cuts += 1
      for (const socket of connection.sockets) socket.resetAndDestroy()
    })
    this.#applyAt(stall, (connection) => {
      this.counts.stalls += 1
      for (const pipe of connection.pipes) pipe.hold(stall?.forMs ?? 0)
    })
    this.#applyAt(blackhole, (connection) => {
      this.counts.blackholes += 1
      connection.lost = true
      for (const pipe of connection.pipes) pipe.hold(Number.POSITIVE_INFINITY)
    })
  }

  /** Listens on loopback, on a free port. */
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
    for (const { sockets } of this.#connections) for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #pass(near: Socket, target: URL): void {
    this.counts.connections += 1
    const far = connect({ host: target.hostname, port: Number(target.port), noDelay: true, allowHalfOpen: true })
    const pipes = [
      new ImpairedPipe(near, far, this.#impairments, this.#random),
      new ImpairedPipe(far, near, this.#impairments, this.#random),
    ] as const
    const connection: ProxiedConnection = { sockets: [near, far], pipes, lost: false }
    this.#connections.add(connection)
    const end = () => {
      this.#connections.delete(connection)
      for (const pipe of pipes) pipe.close()
      // A black hole does not report the end to the other side.
      if (!connection.lost) for (const socket of connection.sockets) socket.destroy()
    }
    for (const socket of connection.sockets) {
      // `close` follows every error.
      socket.on('error', () => undefined)
      socket.once('close', end)
    }
  }

  /** Applies the effect to the given share of open connections, and carries fractions over to the next time. */
  #applyAt(rate: Rate | undefined, effect: (connection: ProxiedConnection) => void): void {
    if (rate === undefined) return
    let owed = 0
    const timer = setInterval(() => {
      const open = [...this.#connections].filter(({ lost }) => !lost)
      owed += (open.length * rate.share) / SLOTS
      for (; owed >= 1 && open.length > 0; owed -= 1) {
        const [victim] = open.splice(Math.floor(this.#random() * open.length), 1)
        if (victim !== undefined) effect(victim)
      }
    }, rate.everyMs / SLOTS)
    this.#timers.push(timer)
  }
}
