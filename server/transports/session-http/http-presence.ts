// HttpPresence: who is in a session over plain HTTP. A stream's reader is here as long as the stream; who polls, or shows
// something, is here for a while after the last request. They are told apart by the connection that they name.
import { type Presence as PresenceFrame, ReplyError } from '@parley/protocol'
import type { Presence } from '../../presence/presence.ts'
import type { PresenceState } from '../../presence/presence-room.ts'

export interface HttpWatcher {
  readonly connection: string
  readonly user: string
  readonly name?: string | undefined
  readonly notify?: (frame: PresenceFrame) => void
}

interface Here {
  readonly user: string
  /** Streams and polls that are open. */
  open: number
  readonly notified: Set<(frame: PresenceFrame) => void>
  timer: NodeJS.Timeout | undefined
}

/** Milliseconds for which somebody is here after the last request. */
const LINGER_MS = 10_000
/** Who comes then is not seen; all else goes on. */
const HERE_MAX = 50_000

export class HttpPresence {
  readonly #presence: Presence
  readonly #here = new Map<string, Here>()

  constructor(presence: Presence) {
    this.#presence = presence
  }

  get size(): number {
    return this.#here.size
  }

  /**
   * A request that reads began.
   * @param lingers when it is over, another one is to be expected
   * @returns to be called when it is over
   * @throws ReplyError forbidden
   */
  hold(session: string, watcher: HttpWatcher, lingers: boolean): () => void {
    const here = this.#enter(session, watcher)
    if (here === undefined) return () => undefined
    const { notify } = watcher
    here.open += 1
    clearTimeout(here.timer)
    if (notify !== undefined) here.notified.add(notify)
    let held = true
    return () => {
      if (!held) return
      held = false
      here.open -= 1
      if (notify !== undefined) here.notified.delete(notify)
      this.#rest(session, watcher.connection, here, lingers ? LINGER_MS : 0)
    }
  }

  /** @throws ReplyError forbidden, unavailable */
  show(session: string, watcher: HttpWatcher, state: PresenceState): void {
    const here = this.#enter(session, watcher)
    if (here === undefined) throw new ReplyError('unavailable', 'This node has no room for more.')
    this.#presence.show(session, watcher.connection, state)
    this.#rest(session, watcher.connection, here, LINGER_MS)
  }

  close(): void {
    for (const { timer } of this.#here.values()) clearTimeout(timer)
    this.#here.clear()
  }

  #enter(session: string, watcher: HttpWatcher): Here | undefined {
    const { connection, user, name } = watcher
    const key = keyOf(session, connection)
    let here = this.#here.get(key)
    // What is shown of others names their connections: nobody may speak for them by it.
    const isTaken = here === undefined ? this.#presence.has(session, connection) : here.user !== user
    if (isTaken) throw new ReplyError('forbidden', 'The connection is another one’s.')
    if (here === undefined) {
      if (this.#here.size >= HERE_MAX) return undefined
      const notified: Here['notified'] = new Set(watcher.notify === undefined ? [] : [watcher.notify])
      here = { user, open: 0, notified, timer: undefined }
      this.#here.set(key, here)
      const notify = (frame: PresenceFrame): void => {
        for (const each of notified) each(frame)
      }
      this.#presence.enter(session, { connection, user, name, notify })
    } else if (watcher.notify !== undefined) {
      this.#presence.greet(session, watcher.notify)
    }
    return here
  }

  /** While nothing is open, its time runs. */
  #rest(session: string, connection: string, here: Here, ms: number): void {
    const key = keyOf(session, connection)
    if (here.open > 0 || this.#here.get(key) !== here) return
    clearTimeout(here.timer)
    const leave = (): void => {
      this.#here.delete(key)
      this.#presence.leave(session, connection)
    }
    if (ms === 0) {
      leave()
      return
    }
    here.timer = setTimeout(leave, ms)
    here.timer.unref()
  }
}

function keyOf(session: string, connection: string): string {
  return `${session} ${connection}`
}
