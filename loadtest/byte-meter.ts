// ByteMeter: what goes over the sockets of a door, in both directions, as the sockets themselves count it.
import type { MeteredSocket, SocketMeter } from './drivers/driver.ts'

export class ByteMeter implements SocketMeter {
  readonly #open = new Set<MeteredSocket>()
  #closed = 0

  /** The same socket may come again: it is counted once. */
  watch(socket: MeteredSocket): void {
    if (this.#open.has(socket)) return
    this.#open.add(socket)
    socket.once('close', () => {
      this.#open.delete(socket)
      this.#closed += bytesOf(socket)
    })
  }

  get total(): number {
    let total = this.#closed
    for (const socket of this.#open) total += bytesOf(socket)
    return total
  }
}

function bytesOf({ bytesRead, bytesWritten }: MeteredSocket): number {
  return bytesRead + bytesWritten
}
