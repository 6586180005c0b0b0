// ActiveReaders: whether a session has a reader now or had one a moment ago: a stream, a long poll, or a periodic poll.
// Only metrics use it: its memory is limited, so it may forget sessions.
import type { ScatterGather } from '../../store/ports/scatter-gather.ts'
import type { Hub } from './hub.ts'

/** Milliseconds for which a poll counts as reading. */
const POLL_MS = 60_000
/** Milliseconds for which a finished long poll counts, because most end with the run. Equal to the hub's linger time. */
const LINGER_MS = 5_000
/** Maximum number of concurrent queries to other nodes. */
const MAX_QUERIES = 32
/** Maximum number of remembered sessions. */
const MAX_REMEMBERED = 10_000

export class ActiveReaders {
  readonly #hub: Pick<Hub, 'follows'>
  readonly #now: () => number
  /** Number of open long polls by session. */
  readonly #longPolls = new Map<string, number>()
  /** Time until which a session counts as read without an open request; the least recently noted first. */
  readonly #until = new Map<string, number>()
  #queries = 0

  /** @param now a clock in milliseconds */
  constructor(hub: Pick<Hub, 'follows'>, now: () => number = () => performance.now()) {
    this.#hub = hub
    this.#now = now
  }

  isReadHere(session: string): boolean {
    if (this.#hub.follows(session) || this.#longPolls.has(session)) return true
    return (this.#until.get(session) ?? Number.NEGATIVE_INFINITY) > this.#now()
  }

  /** On this node or another. Returns true, without a query, if too many queries are pending. */
  async isReadAnywhere(session: string, scatterGather: ScatterGather | undefined): Promise<boolean> {
    if (this.isReadHere(session)) return true
    if (scatterGather === undefined) return false
    if (this.#queries === MAX_QUERIES) return true
    this.#queries += 1
    try {
      return (await scatterGather.query(session)).some(reportsReaders)
    } finally {
      this.#queries -= 1
    }
  }

  /** Call when a long poll starts. @returns a function to call when it ends */
  beginLongPoll(session: string): () => void {
    this.#longPolls.set(session, (this.#longPolls.get(session) ?? 0) + 1)
    let isOpen = true
    return () => {
      if (!isOpen) return
      isOpen = false
      const count = (this.#longPolls.get(session) ?? 1) - 1
      if (count > 0) this.#longPolls.set(session, count)
      else this.#longPolls.delete(session)
      this.#remember(session, LINGER_MS)
    }
  }

  /** Call when a client polls the session. */
  notePoll(session: string): void {
    this.#remember(session, POLL_MS)
  }

  #remember(session: string, ms: number): void {
    const until = Math.max(this.#until.get(session) ?? 0, this.#now() + ms)
    this.#until.delete(session)
    this.#until.set(session, until)
    if (this.#until.size <= MAX_REMEMBERED) return
    const [oldest] = this.#until.keys()
    if (oldest !== undefined) this.#until.delete(oldest)
  }
}

/** @param answer of another node, which may run another version */
function reportsReaders(answer: unknown): boolean {
  if (typeof answer !== 'object' || answer === null) return false
  const { isRead, count } = answer as { readonly isRead?: unknown; readonly count?: unknown }
  return isRead === true || (typeof count === 'number' && count > 0)
}
