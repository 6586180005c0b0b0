// PresenceNodes: the other nodes that are heard of, and how far the count of each one's messages is. Pure but for its map.
//
//   unknown ──message──► known ──next number──► known        known ──silent for too long, bye──► unknown
//                          └──another number──► known, and something was missed

/** Milliseconds between two signs of life, and of silence after which a node is taken for dead. */
export const BEAT_MS = 2_500
export const SILENT_MS = 8_000
const NODES_MAX = 256

interface Heard {
  at: number
  number: number
}

export class PresenceNodes {
  readonly #nodes = new Map<string, Heard>()

  get size(): number {
    return this.#nodes.size
  }

  /** @returns whether all is known that the node has told since it was first heard of; 'foreign': there is no room for it */
  hear(node: string, number: number, now: number): 'whole' | 'missed' | 'foreign' {
    const heard = this.#nodes.get(node)
    if (heard === undefined) {
      if (this.#nodes.size >= NODES_MAX) return 'foreign'
      this.#nodes.set(node, { at: now, number })
      return number === 1 ? 'whole' : 'missed'
    }
    const isNext = number === heard.number + 1
    heard.at = now
    heard.number = number
    return isNext ? 'whole' : 'missed'
  }

  drop(node: string): boolean {
    return this.#nodes.delete(node)
  }

  /** Forgets those of whom nothing was heard for too long. @returns them */
  silent(now: number): readonly string[] {
    const silent: string[] = []
    for (const [node, { at }] of this.#nodes) if (now - at > SILENT_MS) silent.push(node)
    for (const node of silent) this.#nodes.delete(node)
    return silent
  }
}
