// PresencePost: what this node has to tell other nodes of presence: gathered for a moment, in messages of a bounded size, at a
// bounded rate. What cannot be told now waits, by session, so that it takes no more room than the sessions that are open here.
import { makeId } from '@parley/protocol'
import type { PresenceNews } from '../store/ports/presence-news.ts'
import type { PresenceMessage, RoomMessage } from './presence-message.ts'

/** Milliseconds for which news is gathered. */
const GATHER_MS = 100
/** Messages at a time, and their size as JSON, about: some 2.6 MB a second at most. */
const MESSAGES_AT_ONCE = 4
const MESSAGE_BYTES = 64 * 1024
/** Sessions that were left, of which is told; who does not hear of it finds nobody there at the next change. */
const LEFT_MAX = 50_000

export class PresencePost {
  readonly node = makeId('node')
  readonly #news: PresenceNews
  readonly #digest: (session: string) => RoomMessage | undefined
  readonly #asks = new Set<string>()
  readonly #left = new Set<string>()
  readonly #rooms = new Set<string>()
  #number = 0
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /** @param digest of a session as it is when the message goes; undefined: there is nothing to tell */
  constructor(news: PresenceNews, digest: (session: string) => RoomMessage | undefined) {
    this.#news = news
    this.#digest = digest
  }

  ask(session: string): void {
    this.#left.delete(session)
    this.#asks.add(session)
    this.#soon()
  }

  leave(session: string): void {
    this.#rooms.delete(session)
    // Of whom nobody has heard, nobody need hear that they are gone.
    if (this.#asks.delete(session) || this.#left.size >= LEFT_MAX) return
    this.#left.add(session)
    this.#soon()
  }

  tell(session: string): void {
    this.#rooms.add(session)
    this.#soon()
  }

  /** That this node lives, and how far its count is. */
  beat(): void {
    this.#send({})
  }

  bye(): void {
    clearTimeout(this.#timer)
    this.#send({ bye: true })
    this.#closed = true
  }

  #soon(): void {
    if (this.#closed) return
    this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS)
    this.#timer.unref()
  }

  #flush(): void {
    this.#timer = undefined
    for (let sent = 0; sent < MESSAGES_AT_ONCE && this.#waiting > 0; sent += 1) {
      const left = [...some(this.#left)]
      const asks = [...some(this.#asks)]
      const rooms: RoomMessage[] = []
      let bytes = 0
      const taken: string[] = []
      for (const session of this.#rooms) {
        if (bytes >= MESSAGE_BYTES) break
        taken.push(session)
        const room = this.#digest(session)
        if (room === undefined) continue
        rooms.push(room)
        bytes += JSON.stringify(room).length
      }
      if (!this.#send({ left, asks, rooms })) break
      for (const session of left) this.#left.delete(session)
      for (const session of asks) this.#asks.delete(session)
      for (const session of taken) this.#rooms.delete(session)
    }
    if (this.#waiting > 0) this.#soon()
  }

  get #waiting(): number {
    return this.#asks.size + this.#left.size + this.#rooms.size
  }

  #send(message: Pick<PresenceMessage, 'asks' | 'left' | 'rooms' | 'bye'>): boolean {
    if (this.#closed) return false
    const isTold = this.#news.tell({ node: this.node, number: this.#number + 1, ...message })
    if (isTold) this.#number += 1
    return isTold
  }
}

const SESSIONS_AT_ONCE = 500

function* some(sessions: ReadonlySet<string>): Iterable<string> {
  let count = 0
  for (const session of sessions) {
    if (count === SESSIONS_AT_ONCE) return
    count += 1
    yield session
  }
}
