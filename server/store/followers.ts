// Followers: the live followers of all sessions. Entries of one commit reach a follower in one call per session. A
// follower that throws, or that closes itself during a delivery, does not affect the others.
import type { Logger } from 'pino'
import type { Entry } from './ports/entry.ts'
import type { Follower, Subscription } from './ports/session-log.ts'

/** The followers of one session. It exists only while the session has followers. */
export interface SessionFollowers {
  /** Usually one, so it needs no list. A list is replaced, never mutated: a delivery iterates over the old one. */
  followers: LiveFollower | readonly LiveFollower[]
  batch: Entry[]
  /** True as soon as the last follower has left; this object is then never used again. */
  gone: boolean
}

/** A session, and its followers as of the last lookup. */
interface Lookup {
  readonly session: string
  followers: SessionFollowers | undefined
}

class LiveFollower implements Subscription {
  readonly session: string
  readonly follower: Follower
  closed = false
  readonly #followers: Followers

  constructor(followers: Followers, session: string, follower: Follower) {
    this.#followers = followers
    this.session = session
    this.follower = follower
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.#followers.remove(this)
  }
}

/** The batch of a session for which nothing is being collected. */
const NO_BATCH: Entry[] = []

export class Followers {
  readonly #logger: Logger
  readonly #bySession = new Map<string, SessionFollowers>()
  /** The sessions with a batch to deliver. */
  #collected: SessionFollowers[] = []

  constructor(logger: Logger) {
    this.#logger = logger
  }

  add(session: string, follower: Follower): Subscription {
    const live = new LiveFollower(this, session, follower)
    const known = this.#bySession.get(session)
    if (known === undefined) this.#bySession.set(session, { followers: live, batch: NO_BATCH, gone: false })
    else known.followers = [...listOf(known.followers), live]
    return live
  }

  /** Adds an entry to the session's batch for the next `deliver`. */
  collect(lookup: Lookup, entry: Entry): void {
    let { followers } = lookup
    if (followers === undefined || followers.gone) {
      followers = this.#bySession.get(lookup.session)
      lookup.followers = followers
      if (followers === undefined) return
    }
    if (followers.batch !== NO_BATCH) {
      followers.batch.push(entry)
      return
    }
    // An array literal: `push` on an empty array allocates space for seventeen entries.
    followers.batch = [entry]
    this.#collected.push(followers)
  }

  /** Delivers all collected batches. */
  deliver(): void {
    const collected = this.#collected
    if (collected.length === 0) return
    this.#collected = []
    for (const session of collected) {
      const { batch, followers } = session
      session.batch = NO_BATCH
      if (followers instanceof LiveFollower) this.#deliverLive(followers, batch)
      else for (const live of followers) this.#deliverLive(live, batch)
    }
  }

  deliverTo(follower: Follower, entries: readonly Entry[]): void {
    try {
      follower.entries(entries)
    } catch (error) {
      this.#logger.error({ err: error }, 'a follower threw')
    }
  }

  clear(): void {
    for (const session of this.#bySession.values()) session.gone = true
    this.#bySession.clear()
  }

  /** Called by a follower that was closed. */
  remove(live: LiveFollower): void {
    const session = this.#bySession.get(live.session)
    if (session === undefined) return
    const remaining = listOf(session.followers).filter((other) => other !== live)
    session.followers = remaining[1] === undefined ? (remaining[0] ?? remaining) : remaining
    if (remaining.length > 0) return
    session.gone = true
    this.#bySession.delete(live.session)
  }

  #deliverLive(live: LiveFollower, batch: readonly Entry[]): void {
    if (!live.closed) this.deliverTo(live.follower, batch)
  }
}

function listOf(followers: LiveFollower | readonly LiveFollower[]): readonly LiveFollower[] {
  return followers instanceof LiveFollower ? [followers] : followers
}
