// Presence: the members of each session on all nodes, and their states. It is ephemeral: nothing goes to the log. A node
// publishes a session only if another node has members there, too. Changes are batched; the interval grows with the number
// of members.
import type { Presence as PresenceFrame, PresenceMember } from '@parley/protocol'
import type { NodeNews } from '../store/ports/node-news.ts'
import type { Subscription } from '../store/ports/session-log.ts'
import { type PresenceMessage, parseMessage } from './presence-message.ts'
import { HEARTBEAT_MS, PresenceNodes } from './presence-nodes.ts'
import { PresencePublisher } from './presence-publisher.ts'
import { PresenceRoom, type PresenceState, type PresenceWatcher } from './presence-room.ts'
import { INTERVAL_MIN_MS } from './presence-summary.ts'

export type { PresenceWatcher } from './presence-room.ts'

/** Minimum time in milliseconds between two requests to other nodes for all sessions. */
const REQUEST_ALL_MS = 5_000

export class Presence {
  readonly #rooms = new Map<string, PresenceRoom>()
  readonly #nodes = new PresenceNodes()
  readonly #publisher: PresencePublisher | undefined
  readonly #subscription: Subscription | undefined
  readonly #heartbeat: NodeJS.Timeout | undefined
  #requestedAllAt = Number.NEGATIVE_INFINITY
  #requestPending = false

  /** @param news undefined on a single node */
  constructor(news?: NodeNews) {
    if (news === undefined) return
    this.#publisher = new PresencePublisher(news, (session) => this.#digestToPublish(session))
    this.#subscription = news.onNotified((message) => this.#receive(message))
    this.#heartbeat = setInterval(() => this.#tick(), HEARTBEAT_MS)
    this.#heartbeat.unref()
  }

  /** Number of sessions with members on this node. */
  get size(): number {
    return this.#rooms.size
  }

  enter(session: string, watcher: PresenceWatcher): void {
    let room = this.#rooms.get(session)
    if (room === undefined) {
      room = new PresenceRoom(session)
      this.#rooms.set(session, room)
      this.#publisher?.ask(session)
    }
    room.enter(watcher, Date.now())
    // In a large session the next frame is late, so a new watcher gets the last one.
    if (room.lastFrame !== undefined && room.intervalMs > INTERVAL_MIN_MS) watcher.notify?.(room.lastFrame)
    this.#scheduleFrame(room)
  }

  /** @returns false if the connection has not entered the session */
  show(session: string, connection: string, state: PresenceState): boolean {
    const room = this.#rooms.get(session)
    if (room?.show(connection, state, Date.now()) !== true) return false
    this.#scheduleFrame(room)
    return true
  }

  leave(session: string, connection: string): void {
    const room = this.#rooms.get(session)
    if (room?.leave(connection) !== true) return
    if (!room.isEmpty) {
      this.#scheduleFrame(room)
      return
    }
    clearTimeout(room.timer)
    this.#rooms.delete(session)
    this.#publisher?.leave(session)
  }

  /** The members that a frame names. */
  members(session: string): PresenceMember[] {
    return this.#rooms.get(session)?.frame().members ?? []
  }

  /** The frame for a polling watcher. In a large session it is the last frame, because building one is expensive. */
  latest(session: string): PresenceFrame {
    const room = this.#rooms.get(session)
    if (room === undefined) return { type: 'presence', session, members: [], count: 0 }
    return room.lastFrame !== undefined && room.intervalMs > INTERVAL_MIN_MS ? room.lastFrame : room.frame()
  }

  /** Number of connections in the session on all nodes; 0 if this node has none. */
  count(session: string): number {
    return this.#rooms.get(session)?.count ?? 0
  }

  has(session: string, connection: string): boolean {
    return this.#rooms.get(session)?.has(connection) === true
  }

  /** Sends the last frame to a new listener. */
  sendLatest(session: string, notify: NonNullable<PresenceWatcher['notify']>): void {
    const frame = this.#rooms.get(session)?.lastFrame
    if (frame !== undefined) notify(frame)
  }

  /** Notifies other nodes that this node shuts down. */
  close(): void {
    clearInterval(this.#heartbeat)
    this.#publisher?.bye()
    this.#subscription?.close()
    for (const { timer } of this.#rooms.values()) clearTimeout(timer)
    this.#rooms.clear()
  }

  #scheduleFrame(room: PresenceRoom): void {
    if (room.timer !== undefined || room.isQuiet) return
    const waitMs = Math.max(INTERVAL_MIN_MS, room.lastFrameAt + room.intervalMs - performance.now())
    room.timer = setTimeout(() => this.#sendFrame(room), waitMs)
    room.timer.unref()
  }

  #sendFrame(room: PresenceRoom): void {
    room.timer = undefined
    const frame = room.nextFrame(performance.now())
    if (frame === undefined) return
    room.notify(frame)
    if (room.isShared) this.#publisher?.publish(room.session)
  }

  /** The digest for other nodes; undefined if they do not need it or already have it. */
  #digestToPublish(session: string) {
    const room = this.#rooms.get(session)
    if (room?.isShared !== true) return undefined
    const digest = room.digest()
    const text = JSON.stringify(digest)
    if (text === room.publishedDigest) return undefined
    room.publishedDigest = text
    return { session, count: digest.count, present: [...digest.present] }
  }

  #receive(value: unknown): void {
    const message = parseMessage(value)
    if (message === undefined || message.node === this.#publisher?.node) return
    const { node, bye } = message
    if (bye === true) {
      if (this.#nodes.drop(node)) this.#forget(node)
      return
    }
    const order = this.#nodes.record(node, message.number, performance.now())
    if (order === 'rejected') return
    if (order === 'missed') this.#requestAll()
    this.#apply(node, message)
  }

  #apply(node: string, { left = [], asks = [], rooms = [] }: PresenceMessage): void {
    for (const session of left) {
      const room = this.#rooms.get(session)
      if (room?.dropNode(node) === true) this.#scheduleFrame(room)
    }
    for (const session of asks) {
      const room = this.#rooms.get(session)
      if (room === undefined) continue
      room.setNode(node)
      this.#publishAgain(room)
    }
    for (const { session, count, present } of rooms) {
      const room = this.#rooms.get(session)
      if (room === undefined) continue
      if (room.setNode(node, { count, present })) this.#publishAgain(room)
      this.#scheduleFrame(room)
    }
  }

  /** For a node that does not have this node's digest. */
  #publishAgain(room: PresenceRoom): void {
    room.publishedDigest = undefined
    this.#publisher?.publish(room.session)
  }

  /** A message was lost, and its sessions are unknown: requests the digests of all sessions. */
  #requestAll(): void {
    const now = performance.now()
    this.#requestPending = now - this.#requestedAllAt < REQUEST_ALL_MS
    if (this.#requestPending) return
    this.#requestedAllAt = now
    for (const session of this.#rooms.keys()) this.#publisher?.ask(session)
  }

  #tick(): void {
    this.#publisher?.sendHeartbeat()
    for (const node of this.#nodes.expire(performance.now())) this.#forget(node)
    if (this.#requestPending) this.#requestAll()
  }

  #forget(node: string): void {
    for (const room of this.#rooms.values()) if (room.dropNode(node)) this.#scheduleFrame(room)
  }
}
