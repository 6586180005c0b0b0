// Presence: who of the connections on this node shows a state in a session. Ephemeral: not in the log.
// Changes are told together, a little later, so that a crowd's coming and going costs one frame.
import type { Presence as PresenceFrame } from '@parley/protocol'

export interface PresenceWatcher {
  readonly connection: string
  readonly user: string
  /** The same frame object goes to all watchers, so that it can be encoded once. */
  notify(frame: PresenceFrame): void
}

type State = PresenceFrame['members'][number]['state']

interface Room {
  readonly watchers: Map<string, PresenceWatcher>
  readonly states: Map<string, State>
  timer: NodeJS.Timeout | undefined
}

/** Milliseconds between two frames about one session. */
const GATHER_MS = 100
/** Members that a frame names; the first ones. */
const MEMBERS_SHOWN = 256

export class Presence {
  readonly #rooms = new Map<string, Room>()

  enter(session: string, watcher: PresenceWatcher): void {
    let room = this.#rooms.get(session)
    if (room === undefined) {
      room = { watchers: new Map(), states: new Map(), timer: undefined }
      this.#rooms.set(session, room)
    }
    room.watchers.set(watcher.connection, watcher)
    if (room.states.size > 0) watcher.notify(frameOf(session, room))
  }

  /** @returns false when the connection has not entered the session */
  show(session: string, connection: string, state: State): boolean {
    const room = this.#rooms.get(session)
    if (room === undefined || !room.watchers.has(connection)) return false
    if (Object.keys(state).length === 0) room.states.delete(connection)
    else room.states.set(connection, state)
    this.#tellSoon(session, room)
    return true
  }

  leave(session: string, connection: string): void {
    const room = this.#rooms.get(session)
    if (room === undefined || !room.watchers.delete(connection)) return
    if (room.states.delete(connection)) this.#tellSoon(session, room)
    if (room.watchers.size > 0) return
    clearTimeout(room.timer)
    this.#rooms.delete(session)
  }

  /** Who shows a state. */
  members(session: string): PresenceFrame['members'] {
    const room = this.#rooms.get(session)
    return room === undefined ? [] : frameOf(session, room).members
  }

  #tellSoon(session: string, room: Room): void {
    room.timer ??= setTimeout(() => {
      room.timer = undefined
      const frame = frameOf(session, room)
      for (const watcher of room.watchers.values()) watcher.notify(frame)
    }, GATHER_MS)
    room.timer.unref()
  }
}

function frameOf(session: string, room: Room): PresenceFrame {
  const members: PresenceFrame['members'] = []
  for (const [connection, state] of room.states) {
    if (members.length === MEMBERS_SHOWN) break
    const watcher = room.watchers.get(connection)
    if (watcher !== undefined) members.push({ user: watcher.user, connection, state })
  }
  return { type: 'presence', session, members }
}
