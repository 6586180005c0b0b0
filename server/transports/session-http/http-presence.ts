// HttpPresence: the presence of clients that use plain HTTP. A client is present while its stream is open, and for a
// while after its last poll or POST …/presence. Clients are distinguished by the connection that they name.
import { type Presence as PresenceFrame, ReplyError } from '@parley/protocol'
import type { Presence } from '../../presence/presence.ts'
import type { PresenceState } from '../../presence/presence-room.ts'

export interface HttpPresenceClient {
  readonly connection: string
  readonly user: string
  readonly name?: string | undefined
  readonly notify?: (frame: PresenceFrame) => void
}

interface PresentConnection {
  readonly user: string
  /** Number of open streams and polls. */
  open: number
  readonly notified: Set<(frame: PresenceFrame) => void>
  timer: NodeJS.Timeout | undefined
}

/** Milliseconds for which a client stays present after its last request. */
const LINGER_MS = 10_000
/** Clients beyond this limit can still read, but are not shown as present. */
const PRESENT_MAX = 50_000

export class HttpPresence {
  readonly #presence: Presence
  readonly #present = new Map<string, PresentConnection>()

  constructor(presence: Presence) {
    this.#presence = presence
  }

  get size(): number {
    return this.#present.size
  }

  /**
   * Marks a client as present for the time of a request that reads.
   * @param lingers whether the client stays present for a while after the request, as between two polls
   * @returns a function to call at the end of the request
   * @throws ReplyError forbidden
   */
  hold(session: string, client: HttpPresenceClient, lingers: boolean): () => void {
    const present = this.#enter(session, client)
    if (present === undefined) return () => undefined
    const { notify } = client
    present.open += 1
    clearTimeout(present.timer)
    if (notify !== undefined) present.notified.add(notify)
    let held = true
    return () => {
      if (!held) return
      held = false
      present.open -= 1
      if (notify !== undefined) present.notified.delete(notify)
      this.#startTimer(session, client.connection, present, lingers ? LINGER_MS : 0)
    }
  }

  /** @throws ReplyError forbidden, unavailable */
  show(session: string, client: HttpPresenceClient, state: PresenceState): void {
    const present = this.#enter(session, client)
    if (present === undefined)
      throw new ReplyError('unavailable', 'This node has reached its limit of present connections.')
    this.#presence.show(session, client.connection, state)
    this.#startTimer(session, client.connection, present, LINGER_MS)
  }

  close(): void {
    for (const { timer } of this.#present.values()) clearTimeout(timer)
    this.#present.clear()
  }

  #enter(session: string, client: HttpPresenceClient): PresentConnection | undefined {
    const { connection, user, name } = client
    const key = keyOf(session, connection)
    let present = this.#present.get(key)
    // Presence shows the names of connections to everyone, so a client must not be able to use another's name.
    const isTaken = present === undefined ? this.#presence.has(session, connection) : present.user !== user
    if (isTaken) throw new ReplyError('forbidden', 'The connection name is already in use.')
    if (present === undefined) {
      if (this.#present.size >= PRESENT_MAX) return undefined
      const notified: PresentConnection['notified'] = new Set(client.notify === undefined ? [] : [client.notify])
      present = { user, open: 0, notified, timer: undefined }
      this.#present.set(key, present)
      const notify = (frame: PresenceFrame): void => {
        for (const notifyRequest of notified) notifyRequest(frame)
      }
      this.#presence.enter(session, { connection, user, name, notify })
    } else if (client.notify !== undefined) {
      this.#presence.sendLatest(session, client.notify)
    }
    return present
  }

  /** The timer runs while no stream and no poll is open. */
  #startTimer(session: string, connection: string, present: PresentConnection, ms: number): void {
    const key = keyOf(session, connection)
    if (present.open > 0 || this.#present.get(key) !== present) return
    clearTimeout(present.timer)
    const leave = (): void => {
      this.#present.delete(key)
      this.#presence.leave(session, connection)
    }
    if (ms === 0) {
      leave()
      return
    }
    present.timer = setTimeout(leave, ms)
    present.timer.unref()
  }
}

function keyOf(session: string, connection: string): string {
  return `${session} ${connection}`
}
