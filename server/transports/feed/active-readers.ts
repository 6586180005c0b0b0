// ActiveReaders: whether somebody on this node reads a session now, or did a moment ago: by a stream, by staying on the line, or
// by asking now and then. For metrics alone: it is bounded, and may forget.
import type { ScatterGather } from '../../store/ports/scatter-gather.ts'
import type { Hub } from './hub.ts'

/** Milliseconds for which one who asked is thought to ask again. */
const ASKED_MS = 60_000
/** Milliseconds for which one who left counts: the end of a run is what most leave after. The hub has as many. */
const LEFT_MS = 5_000
/** Sessions about which other nodes are asked at once. */
const ASKING = 32
/** Sessions that are remembered. */
const REMEMBERED = 10_000

export class ActiveReaders {
  readonly #hub: Pick<Hub, 'follows'>
  readonly #now: () => number
  readonly #waiting = new Map<string, number>()
  /** Until when somebody counts who is not here; the oldest word first. */
  readonly #until = new Map<string, number>()
  #asking = 0

  /** @param now milliseconds of any clock */
  constructor(hub: Pick<Hub, 'follows'>, now: () => number = () => performance.now()) {
    this.#hub = hub
    this.#now = now
  }

  isHere(session: string): boolean {
    if (this.#hub.follows(session) || this.#waiting.has(session)) return true
    return (this.#until.get(session) ?? Number.NEGATIVE_INFINITY) > this.#now()
  }

  /** On this node or on another. Who cannot be asked, or is asked too much, counts as reading. */
  async isAnywhere(session: string, scatterGather: ScatterGather | undefined): Promise<boolean> {
    if (this.isHere(session)) return true
    if (scatterGather === undefined) return false
    if (this.#asking === ASKING) return true
    this.#asking += 1
    try {
      return (await scatterGather.ask(session)).some(tellsOfReaders)
    } finally {
      this.#asking -= 1
    }
  }

  /** Somebody stays on the line. @returns to be called when that is over */
  wait(session: string): () => void {
    this.#waiting.set(session, (this.#waiting.get(session) ?? 0) + 1)
    let isWaiting = true
    return () => {
      if (!isWaiting) return
      isWaiting = false
      const left = (this.#waiting.get(session) ?? 1) - 1
      if (left > 0) this.#waiting.set(session, left)
      else this.#waiting.delete(session)
      this.#remember(session, LEFT_MS)
    }
  }

  /** Somebody asks how it stands. */
  ask(session: string): void {
    this.#remember(session, ASKED_MS)
  }

  #remember(session: string, ms: number): void {
    const until = Math.max(this.#until.get(session) ?? 0, this.#now() + ms)
    this.#until.delete(session)
    this.#until.set(session, until)
    if (this.#until.size <= REMEMBERED) return
    const [oldest] = this.#until.keys()
    if (oldest !== undefined) this.#until.delete(oldest)
  }
}

/** @param answer of another node, who may be of another version */
function tellsOfReaders(answer: unknown): boolean {
  if (typeof answer !== 'object' || answer === null) return false
  const { isRead, count } = answer as { readonly isRead?: unknown; readonly count?: unknown }
  return isRead === true || (typeof count === 'number' && count > 0)
}
