// PresenceNodes: the known other nodes, and the number of the last message from each.
//
//   unknown ──message──► known ──next number──► known        known ──timeout, bye──► unknown
//                          └──another number──► known, and a message was lost

/** Milliseconds between two heartbeats, and of silence after which a node counts as dead. */
export const HEARTBEAT_MS = 2_500
export const TIMEOUT_MS = 8_000
const NODES_MAX = 256

interface LastMessage {
  at: number
  number: number
}

export class PresenceNodes {
  readonly #nodes = new Map<string, LastMessage>()

  get size(): number {
    return this.#nodes.size
  }

  /** Records a message. @returns whether it follows the node's last one; 'rejected' if too many nodes are known */
  record(node: string, number: number, now: number): 'complete' | 'missed' | 'rejected' {
    const last = this.#nodes.get(node)
    if (last === undefined) {
      if (this.#nodes.size >= NODES_MAX) return 'rejected'
      this.#nodes.set(node, { at: now, number })
      return number === 1 ? 'complete' : 'missed'
    }
    const isNext = number === last.number + 1
    last.at = now
    last.number = number
    return isNext ? 'complete' : 'missed'
  }

  drop(node: string): boolean {
    return this.#nodes.delete(node)
  }

  /** Removes the nodes that have timed out. @returns them */
  expire(now: number): readonly string[] {
    const expired: string[] = []
    for (const [node, { at }] of this.#nodes) if (now - at > TIMEOUT_MS) expired.push(node)
    for (const node of expired) this.#nodes.delete(node)
    return expired
  }
}
