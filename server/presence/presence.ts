// Presence: who is in a session, on this node and on others, and what they show. Ephemeral: not in the log. A node speaks of a
// session to others only once one of them has said that it has somebody there too; changes are told together, a little later,
// and the more rarely the more there are.
import type { Presence as PresenceFrame, PresenceMember } from '@parley/protocol'
import type { PresenceNews } from '../store/ports/presence-news.ts'
import type { Subscription } from '../store/ports/session-log.ts'
import { PACE_MIN_MS } from './presence-crowd.ts'
import { type PresenceMessage, readMessage } from './presence-message.ts'
import { BEAT_MS, PresenceNodes } from './presence-nodes.ts'
import { PresencePost } from './presence-post.ts'
import { PresenceRoom, type PresenceState, type PresenceWatcher } from './presence-room.ts'

export type { PresenceWatcher } from './presence-room.ts'

/** Milliseconds between two times of asking other nodes for everything. */
const ASK_ALL_MS = 5_000

export class Presence {
  readonly #rooms = new Map<string, PresenceRoom>()
  readonly #nodes = new PresenceNodes()
  readonly #post: PresencePost | undefined
  readonly #subscription: Subscription | undefined
  readonly #beat: NodeJS.Timeout | undefined
  #askedAllAt = Number.NEGATIVE_INFINITY
  #asksAll = false

  /** @param news left out: there is no other node */
  constructor(news?: PresenceNews) {
    if (news === undefined) return
    this.#post = new PresencePost(news, (session) => this.#share(session))
    this.#subscription = news.onTold((message) => this.#told(message))
    this.#beat = setInterval(() => this.#tick(), BEAT_MS)
    this.#beat.unref()
  }

  /** Sessions with somebody on this node. */
  get size(): number {
    return this.#rooms.size
  }

  enter(session: string, watcher: PresenceWatcher): void {
    let room = this.#rooms.get(session)
    if (room === undefined) {
      room = new PresenceRoom(session)
      this.#rooms.set(session, room)
      this.#post?.ask(session)
    }
    room.enter(watcher, Date.now())
    // In a crowd the next frame is far; who comes is given the last one.
    if (room.told !== undefined && room.paceMs > PACE_MIN_MS) watcher.notify?.(room.told)
    this.#tellSoon(room)
  }

  /** @returns false when the connection has not entered the session */
  show(session: string, connection: string, state: PresenceState): boolean {
    const room = this.#rooms.get(session)
    if (room?.show(connection, state, Date.now()) !== true) return false
    this.#tellSoon(room)
    return true
  }

  leave(session: string, connection: string): void {
    const room = this.#rooms.get(session)
    if (room?.leave(connection) !== true) return
    if (!room.isEmpty) {
      this.#tellSoon(room)
      return
    }
    clearTimeout(room.timer)
    this.#rooms.delete(session)
    this.#post?.leave(session)
  }

  /** Some of those who are here: as a frame would name them. */
  members(session: string): PresenceMember[] {
    return this.#rooms.get(session)?.frame().members ?? []
  }

  /** What a watcher who asks now is told: in a crowd, where each frame costs something, the one that all have. */
  latest(session: string): PresenceFrame {
    const room = this.#rooms.get(session)
    if (room === undefined) return { type: 'presence', session, members: [], count: 0 }
    return room.told !== undefined && room.paceMs > PACE_MIN_MS ? room.told : room.frame()
  }

  /** Connections in the session, on all nodes; 0 when this node has none there. */
  count(session: string): number {
    return this.#rooms.get(session)?.count ?? 0
  }

  has(session: string, connection: string): boolean {
    return this.#rooms.get(session)?.has(connection) === true
  }

  /** Tells somebody who has just begun to listen what was told last. */
  greet(session: string, notify: NonNullable<PresenceWatcher['notify']>): void {
    const told = this.#rooms.get(session)?.told
    if (told !== undefined) notify(told)
  }

  /** Says goodbye to other nodes. */
  close(): void {
    clearInterval(this.#beat)
    this.#post?.bye()
    this.#subscription?.close()
    for (const { timer } of this.#rooms.values()) clearTimeout(timer)
    this.#rooms.clear()
  }

  #tellSoon(room: PresenceRoom): void {
    if (room.timer !== undefined || room.isQuiet) return
    const waitMs = Math.max(PACE_MIN_MS, room.toldAt + room.paceMs - performance.now())
    room.timer = setTimeout(() => this.#tell(room), waitMs)
    room.timer.unref()
  }

  #tell(room: PresenceRoom): void {
    room.timer = undefined
    const frame = room.news(performance.now())
    if (frame === undefined) return
    room.tell(frame)
    if (room.isShared) this.#post?.tell(room.session)
  }

  /** What others are to know of a session, unless they do. */
  #share(session: string) {
    const room = this.#rooms.get(session)
    if (room?.isShared !== true) return undefined
    const digest = room.digest()
    const text = JSON.stringify(digest)
    if (text === room.shared) return undefined
    room.shared = text
    return { session, count: digest.count, present: [...digest.present] }
  }

  #told(value: unknown): void {
    const message = readMessage(value)
    if (message === undefined || message.node === this.#post?.node) return
    const { node, bye } = message
    if (bye === true) {
      if (this.#nodes.drop(node)) this.#forget(node)
      return
    }
    const heard = this.#nodes.hear(node, message.number, performance.now())
    if (heard === 'foreign') return
    if (heard === 'missed') this.#askAll()
    this.#take(node, message)
  }

  #take(node: string, { left = [], asks = [], rooms = [] }: PresenceMessage): void {
    for (const session of left) {
      const room = this.#rooms.get(session)
      if (room?.dropNode(node) === true) this.#tellSoon(room)
    }
    for (const session of asks) {
      const room = this.#rooms.get(session)
      if (room === undefined) continue
      room.noteNode(node)
      this.#introduce(room)
    }
    for (const { session, count, present } of rooms) {
      const room = this.#rooms.get(session)
      if (room === undefined) continue
      if (room.noteNode(node, { count, present })) this.#introduce(room)
      this.#tellSoon(room)
    }
  }

  /** To a node that knows nothing of who is here. */
  #introduce(room: PresenceRoom): void {
    room.shared = undefined
    this.#post?.tell(room.session)
  }

  /** Something was missed: of which session, nobody can say. */
  #askAll(): void {
    const now = performance.now()
    this.#asksAll = now - this.#askedAllAt < ASK_ALL_MS
    if (this.#asksAll) return
    this.#askedAllAt = now
    for (const session of this.#rooms.keys()) this.#post?.ask(session)
  }

  #tick(): void {
    this.#post?.beat()
    for (const node of this.#nodes.silent(performance.now())) this.#forget(node)
    if (this.#asksAll) this.#askAll()
  }

  #forget(node: string): void {
    for (const room of this.#rooms.values()) if (room.dropNode(node)) this.#tellSoon(room)
  }
}
