// Pinger: pings every open WebSocket once per heartbeat. uWS's own pings come only when two thirds of its idle timeout have
// passed, which is later than the timeouts of common proxies, and their time cannot be set.

export interface Pinged {
  ping(): void
}

/** Each turn pings one group: all sockets at once would block the event loop. */
const GROUPS = 16

export class Pinger {
  readonly #groups = Array.from({ length: GROUPS }, () => new Set<Pinged>())
  readonly #intervalMs: number
  #size = 0
  /** The group that was pinged last: a new socket joins it, because its first ping is due after a whole heartbeat. */
  #group = 0
  #timer: NodeJS.Timeout | undefined

  /** @param heartbeatMs milliseconds between two pings of a socket */
  constructor(heartbeatMs: number) {
    this.#intervalMs = heartbeatMs / GROUPS
  }

  add(socket: Pinged): void {
    this.#groups[this.#group]?.add(socket)
    this.#size += 1
    this.#timer ??= setInterval(() => this.#pingGroup(), this.#intervalMs)
  }

  remove(socket: Pinged): void {
    if (this.#groups.some((group) => group.delete(socket))) this.#size -= 1
    if (this.#size === 0) this.close()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #pingGroup(): void {
    this.#group = (this.#group + 1) % GROUPS
    for (const socket of this.#groups[this.#group] ?? []) socket.ping()
  }
}
