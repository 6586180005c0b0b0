// PresencePublisher: sends this node's presence to other nodes, batched, in messages of limited size, at a limited rate. Unsent
// changes wait by session, so their memory is limited by the number of sessions on this node.
import { makeId } from '@parley/protocol'
import type { NodeNews } from '../store/ports/node-news.ts'
import type { PresenceMessage, RoomMessage } from './presence-message.ts'

/** Milliseconds for which changes are batched. */
const BATCH_MS = 100
/** Maximum number of messages per batch, and their approximate size as JSON: at most 2.6 MB per second. */
const MESSAGES_PER_BATCH = 4
const MESSAGE_BYTES = 64 * 1024
const SESSIONS_PER_MESSAGE = 500
/** Maximum number of left sessions that wait to be sent. If one is dropped, other nodes notice at the next change. */
const LEFT_MAX = 50_000

export class PresencePublisher {
  readonly node = makeId('node')
  readonly #news: NodeNews
  readonly #digest: (session: string) => RoomMessage | undefined
  readonly #asks = new Set<string>()
  readonly #left = new Set<string>()
  readonly #rooms = new Set<string>()
  #number = 0
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /** @param digest returns the room of a session when the message is sent; undefined: nothing to send */
  constructor(news: NodeNews, digest: (session: string) => RoomMessage | undefined) {
    this.#news = news
    this.#digest = digest
  }

  ask(session: string): void {
    this.#left.delete(session)
    this.#asks.add(session)
    this.#scheduleFlush()
  }

  leave(session: string): void {
    this.#rooms.delete(session)
    // If other nodes were never asked, they do not know the session.
    if (this.#asks.delete(session) || this.#left.size >= LEFT_MAX) return
    this.#left.add(session)
    this.#scheduleFlush()
  }

  publish(session: string): void {
    this.#rooms.add(session)
    this.#scheduleFlush()
  }

  /** Sends a heartbeat, which also contains the current message number. */
  sendHeartbeat(): void {
    this.#send({})
  }

  bye(): void {
    clearTimeout(this.#timer)
    this.#send({ bye: true })
    this.#closed = true
  }

  #scheduleFlush(): void {
    if (this.#closed) return
    this.#timer ??= setTimeout(() => this.#flush(), BATCH_MS)
    this.#timer.unref()
  }

  #flush(): void {
    this.#timer = undefined
    for (let sent = 0; sent < MESSAGES_PER_BATCH && this.#pending > 0; sent += 1) {
      const left = firstOf(this.#left)
      const asks = firstOf(this.#asks)
      const rooms: RoomMessage[] = []
      let bytes = 0
      const sessions: string[] = []
      for (const session of this.#rooms) {
        if (bytes >= MESSAGE_BYTES) break
        sessions.push(session)
        const room = this.#digest(session)
        if (room === undefined) continue
        rooms.push(room)
        bytes += JSON.stringify(room).length
      }
      if (!this.#send({ left, asks, rooms })) break
      for (const session of left) this.#left.delete(session)
      for (const session of asks) this.#asks.delete(session)
      for (const session of sessions) this.#rooms.delete(session)
    }
    if (this.#pending > 0) this.#scheduleFlush()
  }

  get #pending(): number {
    return this.#asks.size + this.#left.size + this.#rooms.size
  }

  #send(message: Pick<PresenceMessage, 'asks' | 'left' | 'rooms' | 'bye'>): boolean {
    if (this.#closed) return false
    const isSent = this.#news.notify({ node: this.node, number: this.#number + 1, ...message })
    if (isSent) this.#number += 1
    return isSent
  }
}

function firstOf(sessions: ReadonlySet<string>): string[] {
  const first: string[] = []
  for (const session of sessions) {
    if (first.length === SESSIONS_PER_MESSAGE) break
    first.push(session)
  }
  return first
}
