// FollowerList: the followers of one session. A follower that throws, or that closes itself or another one during a
// delivery, does not affect the others.
import type { Logger } from 'pino'
import type { Entry } from './ports/entry.ts'
import type { Follower, Subscription } from './ports/session-log.ts'

interface Member {
  readonly follower: Follower
  closed: boolean
}

export class FollowerList {
  readonly #logger: Logger
  /** Replaced on each change, never mutated: a delivery in progress iterates over the old list. */
  #members: readonly Member[] = []

  constructor(logger: Logger) {
    this.#logger = logger
  }

  add(follower: Follower): Subscription {
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
    for (const { follower } of this.#open()) this.deliverTo(follower, entries)
  }

  deliverTo(follower: Follower, entries: readonly Entry[]): void {
    this.#guarded(() => follower.entries(entries))
  }

  /** Reports to all followers that the log cannot continue, and removes them. */
  fail(error: Error): void {
    for (const { follower } of this.#open()) this.#guarded(() => follower.lost?.(error))
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
