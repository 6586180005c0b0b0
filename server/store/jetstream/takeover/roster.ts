// Rosters: the deliveries that a node drives, with their acknowledgement subjects. A node announces changes of its own
// roster with its signs of life; the other nodes keep a copy, with which they can return the runs when the node dies.
import { parseAck } from '../queue/ack-subject.ts'

/** Deliveries in one message, of about 80 bytes each. */
export const ROWS_OF_A_SIGN = 1_000
/** Deliveries of one node that are announced. Others wait for `ack_wait` when the node dies. */
export const ROSTER_MAX = 20_000

export interface Row {
  readonly reply: string
  readonly attempt: number
}

export interface Changes {
  readonly took: readonly string[]
  /** Sequence numbers of messages. */
  readonly left: readonly number[]
}

export interface Part {
  /** From 0. */
  readonly part: number
  readonly parts: number
}

/** A node's own roster, and what the other nodes do not know of it yet. */
export class Roster {
  readonly #rows = new Map<number, Row>()
  readonly #took = new Set<number>()
  readonly #left = new Set<number>()
  #news = 0

  get size(): number {
    return this.#rows.size
  }

  get hasNews(): boolean {
    return this.#took.size + this.#left.size > 0
  }

  /** Messages with changes so far. */
  get news(): number {
    return this.#news
  }

  get(message: number): Row | undefined {
    return this.#rows.get(message)
  }

  took(reply: string): void {
    const ack = parseAck(reply)
    if (ack === undefined || (this.#rows.size >= ROSTER_MAX && !this.#rows.has(ack.message))) return
    this.#rows.set(ack.message, { reply, attempt: ack.attempt })
    this.#took.add(ack.message)
    this.#left.delete(ack.message)
  }

  left(reply: string): void {
    const message = parseAck(reply)?.message
    if (message === undefined || !this.#rows.delete(message)) return
    this.#took.delete(message)
    this.#left.add(message)
  }

  /** Takes the next changes for one message. */
  changes(): Changes {
    if (this.hasNews) this.#news += 1
    const took = take(this.#took).flatMap((message) => this.#rows.get(message)?.reply ?? [])
    return { took, left: take(this.#left) }
  }

  /** All deliveries, in parts that fit in one message each. */
  whole(): readonly (Part & Pick<Changes, 'took'>)[] {
    const replies = [...this.#rows.values()].map(({ reply }) => reply)
    const parts = Math.max(1, Math.ceil(replies.length / ROWS_OF_A_SIGN))
    return Array.from({ length: parts }, (_, part) => {
      return { part, parts, took: replies.slice(part * ROWS_OF_A_SIGN, (part + 1) * ROWS_OF_A_SIGN) }
    })
  }
}

/** A copy of another node's roster. */
export class RosterCopy {
  readonly rows = new Map<number, Row>()
  /** The number of the node's last changes. */
  #news = 0
  /** The next part of a whole roster. */
  #part = 0
  #isComplete = false

  /** False if changes were missed. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** @param news each message with changes has the number after its predecessor's; one without has the same number */
  apply(news: number, { took, left }: Changes): void {
    const hasNews = took.length + left.length > 0
    if (news !== this.#news + (hasNews ? 1 : 0)) this.#isComplete = false
    this.#news = news
    for (const message of left) this.rows.delete(message)
    this.#add(took)
  }

  /** One part of a whole roster, which replaces what was known. The parts arrive in order, or the rest is ignored. */
  applyWhole(news: number, { part, parts, took }: Part & Pick<Changes, 'took'>): void {
    if (part === 0) {
      this.rows.clear()
      this.#part = 0
    }
    if (part !== this.#part) return
    this.#part += 1
    this.#add(took)
    if (this.#part < parts) return
    this.#news = news
    this.#isComplete = true
  }

  /** Forgets everything. */
  clear(): void {
    this.rows.clear()
    this.#isComplete = false
  }

  #add(took: readonly string[]): void {
    for (const reply of took) {
      const ack = parseAck(reply)
      if (ack !== undefined && this.rows.size < ROSTER_MAX) this.rows.set(ack.message, { reply, attempt: ack.attempt })
    }
  }
}

function take(numbers: Set<number>): number[] {
  const taken: number[] = []
  for (const number of numbers) {
    if (taken.length === ROWS_OF_A_SIGN) break
    taken.push(number)
    numbers.delete(number)
  }
  return taken
}
