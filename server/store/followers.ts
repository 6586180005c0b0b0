// Followers: who follows which session live. Entries of one commit reach a follower in one call per session; a
// follower that throws or closes itself meanwhile harms no other. A session without followers has no room.
import type { Logger } from 'pino'
import type { Entry } from './ports/entry.ts'
import type { Follower, Subscription } from './ports/session-log.ts'

/** The followers of one session. */
export interface Room {
  /** Nearly always one, and then no list. Replaced, not changed: a round of deliveries goes on over the old list. */
  followers: Live | readonly Live[]
  batch: Entry[]
  /** Nobody is in it, and nobody will be. */
  gone: boolean
}

/** A session, and where its followers were last found. */
interface Followed {
  readonly session: string
  room: Room | undefined
}

class Live implements Subscription {
  readonly session: string
  readonly follower: Follower
  closed = false
  readonly #rooms: Followers

  constructor(rooms: Followers, session: string, follower: Follower) {
    this.#rooms = rooms
    this.session = session
    this.follower = follower
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.#rooms.leave(this)
  }
}

/** No batch is being collected. */
const NOTHING: Entry[] = []

export class Followers {
  readonly #logger: Logger
  readonly #rooms = new Map<string, Room>()
  #filled: Room[] = []

  constructor(logger: Logger) {
    this.#logger = logger
  }

  enter(session: string, follower: Follower): Subscription {
    const live = new Live(this, session, follower)
    const room = this.#rooms.get(session)
    if (room === undefined) this.#rooms.set(session, { followers: live, batch: NOTHING, gone: false })
    else room.followers = [...listOf(room.followers), live]
    return live
  }

  /** Puts an entry by, for `deliver`. */
  collect(place: Followed, entry: Entry): void {
    let { room } = place
    if (room === undefined || room.gone) {
      room = this.#rooms.get(place.session)
      place.room = room
      if (room === undefined) return
    }
    if (room.batch !== NOTHING) {
      room.batch.push(entry)
      return
    }
    // A literal: pushed into an empty array, one entry would take the memory of seventeen.
    room.batch = [entry]
    this.#filled.push(room)
  }

  /** Hands everything that was collected to the followers. */
  deliver(): void {
    const filled = this.#filled
    if (filled.length === 0) return
    this.#filled = []
    for (const room of filled) {
      const { batch, followers } = room
      room.batch = NOTHING
      if (followers instanceof Live) this.#handLive(followers, batch)
      else for (const live of followers) this.#handLive(live, batch)
    }
  }

  hand(follower: Follower, entries: readonly Entry[]): void {
    try {
      follower.entries(entries)
    } catch (error) {
      this.#logger.error({ err: error }, 'a follower threw')
    }
  }

  clear(): void {
    for (const room of this.#rooms.values()) room.gone = true
    this.#rooms.clear()
  }

  /** Called by one that was closed. */
  leave(live: Live): void {
    const room = this.#rooms.get(live.session)
    if (room === undefined) return
    const left = listOf(room.followers).filter((other) => other !== live)
    room.followers = left[1] === undefined ? (left[0] ?? left) : left
    if (left.length > 0) return
    room.gone = true
    this.#rooms.delete(live.session)
  }

  #handLive(live: Live, batch: readonly Entry[]): void {
    if (!live.closed) this.hand(live.follower, batch)
  }
}

function listOf(followers: Live | readonly Live[]): readonly Live[] {
  return followers instanceof Live ? [followers] : followers
}
