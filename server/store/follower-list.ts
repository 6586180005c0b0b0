// FollowerList: the followers of one session. One that throws, or closes itself or another meanwhile, harms no other.
import type { Logger } from 'pino'
import type { Entry } from './ports/entry.ts'
import type { Follower, Subscription } from './ports/session-log.ts'

interface Member {
  readonly follower: Follower
  closed: boolean
}

export class FollowerList {
  readonly #logger: Logger
  /** Replaced, not changed: a round of deliveries goes on over the old list. */
  #members: readonly Member[] = []

  constructor(logger: Logger) {
    this.#logger = logger
  }

  enter(follower: Follower): Subscription {
    const member: Member = { follower, closed: false }
    this.#members = [...this.#members, member]
    return {
      close: () => {
        member.closed = true
        this.#members = this.#members.filter((other) => other !== member)
      },
    }
  }

  deliver(entries: readonly Entry[]): void {
    for (const { follower } of this.#open()) this.hand(follower, entries)
  }

  hand(follower: Follower, entries: readonly Entry[]): void {
    this.#guarded(() => follower.entries(entries))
  }

  lose(error: Error): void {
    for (const { follower } of this.#open()) this.#guarded(() => follower.lost?.(error))
    this.#members = []
  }

  clear(): void {
    for (const member of this.#members) member.closed = true
    this.#members = []
  }

  *#open(): Generator<Member> {
    for (const member of this.#members) if (!member.closed) yield member
  }

  #guarded(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#logger.error({ err: error }, 'a follower threw')
    }
  }
}
