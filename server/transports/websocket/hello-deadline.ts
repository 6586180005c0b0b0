// HelloDeadline: closes a connection whose `hello` is late, after a last ping. A client inside a message does not answer that ping,
// and is dropped: uWS would keep the unfinished message of an ended socket for seconds.
import { Disconnect } from '@parley/protocol'

/** Milliseconds for the answer. */
const PONG_MS = 1_000

export interface LateConnection {
  end(disconnect: Disconnect): void
  drop(): void
}

export class HelloDeadline {
  readonly #connection: LateConnection
  #timer: NodeJS.Timeout
  #isLate = false

  constructor(helloMs: number, socket: { ping(): unknown }, connection: LateConnection) {
    this.#connection = connection
    this.#timer = setTimeout(() => {
      this.#isLate = true
      this.#timer = setTimeout(() => connection.drop(), PONG_MS)
      socket.ping()
    }, helloMs)
  }

  pong(): void {
    if (this.#isLate) this.#connection.end(new Disconnect('noHello'))
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}
