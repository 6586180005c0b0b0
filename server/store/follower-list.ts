// FollowerList: the followers of one session. A follower that throws, or that closes itself or another one during a
// delivery, does not affect the others.
import type { Logger } from 'pino'
import type { Entry } from './ports/entry.ts'
import type { Follower, Subscription } from './ports/session-log.ts'

const NONE: readonly never[] = []

/** One object for a follower, because an idle session has little more. */
class Member implements Subscription {
  readonly follower: Follower
  readonly #list: FollowerList
  closed = false

  constructor(follower: Follower, list: FollowerList) {
    this.follower = follower
    this.#list = list
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.#list.remove(this)
  }
}

export interface FollowerListOwner {
  readonly logger: Logger
  /** A follower has closed its subscription. */
  userLeft(): void
}

export class FollowerList {
  readonly #owner: FollowerListOwner
  /** Replaced on each change, never mutated: a delivery in progress iterates over the old list. */
  #members: readonly Member[] = NONE
  #size = 0

  constructor(owner: FollowerListOwner) {
    this.#owner = owner
  }

  /** Followers that have not closed their subscription, also after `fail`. */
  get size(): number {
    return this.#size
  }

  add(follower: Follower): Subscription {
    const member = new Member(follower, this)
    this.#members = [...this.#members, member]
    this.#size += 1
    return member
  }

  /** For its members only. */
  remove(member: Member): void {
    this.#members = this.#members.filter((other) => other !== member)
    this.#size -= 1
    this.#owner.userLeft()
  }

  deliver(entries: readonly Entry[]): void {
    // No generator: this is called for each token.
    for (const member of this.#members) if (!member.closed) this.deliverTo(member.follower, entries)
  }

  deliverTo(follower: Follower, entries: readonly Entry[]): void {
    try {
      follower.entries(entries)
    } catch (error) {
      this.#threw(error)
    }
  }

  /** Reports to all followers that the log cannot continue, and removes them. */
  fail(error: Error): void {
    for (const member of this.#members) if (!member.closed) this.#lose(member.follower, error)
    this.#members = NONE
  }

  #lose(follower: Follower, reason: Error): void {
    try {
      follower.lost?.(reason)
    } catch (error) {
      this.#threw(error)
    }
  }

  #threw(error: unknown): void {
    this.#owner.logger.error({ err: error }, 'a follower threw')
  }
}
