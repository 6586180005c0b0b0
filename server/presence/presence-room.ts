// PresenceRoom: who is in one session: the connections of this node, and what other nodes say of theirs. It holds no timers and
// tells nobody: Presence asks it for the frame, and for what other nodes are to know.
import type { Presence as PresenceFrame, PresenceMember } from '@parley/protocol'
import { SmallMap, type SmallMapField } from '../store/small-map.ts'
import { named, PACE_MAX_MS, type Present, paceMs } from './presence-crowd.ts'

export type PresenceState = PresenceMember['state']

export interface PresenceWatcher {
  readonly connection: string
  readonly user: string
  readonly name?: string | undefined
  /** What the client calls itself, where what it shows names no device. */
  readonly device?: string | undefined
  /** The same frame object goes to all watchers, so that it can be encoded once. Left out: is here, and is told nothing. */
  readonly notify?: ((frame: PresenceFrame) => void) | undefined
}

/** What a node says of a session: how many are there, and some of them. */
export interface Digest {
  readonly count: number
  readonly present: readonly Present[]
}

interface Local {
  readonly watcher: PresenceWatcher
  state: PresenceState
  at: number
}

const NOTHING: PresenceState = {}
const byConnection = new SmallMap<string, Local>(({ watcher }) => watcher.connection)
const DEVICE_MAX = 64

export class PresenceRoom {
  readonly session: string
  /** When watchers were told last, and the frame that they have. */
  toldAt = -PACE_MAX_MS
  told: PresenceFrame | undefined
  /** The digest that other nodes have, as JSON. */
  shared: string | undefined
  timer: NodeJS.Timeout | undefined
  #toldText = ''
  #locals: SmallMapField<string, Local>
  /** By node; undefined: it is there, and has not said who. Made when there is another node. */
  #others: Map<string, Digest | undefined> | undefined

  constructor(session: string) {
    this.session = session
  }

  get isEmpty(): boolean {
    return this.#locals === undefined
  }

  /** Connections, on all nodes. */
  get count(): number {
    let count = byConnection.size(this.#locals)
    if (this.#others !== undefined) for (const digest of this.#others.values()) count += digest?.count ?? 0
    return count
  }

  /** Nobody was told anything, and need not be: who is alone and shows nothing. */
  get isQuiet(): boolean {
    if (this.told !== undefined || this.count !== 1) return false
    for (const { state } of byConnection.all(this.#locals)) return Object.keys(state).length === 0
    return false
  }

  /** Whether another node has somebody there. */
  get isShared(): boolean {
    return this.#others !== undefined && this.#others.size > 0
  }

  get paceMs(): number {
    return paceMs(this.count)
  }

  enter(watcher: PresenceWatcher, now: number): void {
    // Who attaches once more goes on showing what was shown.
    const { state = NOTHING } = this.#local(watcher.connection) ?? {}
    this.#locals = byConnection.with(this.#locals, { watcher, state, at: now })
  }

  /** @returns false when the connection is not here */
  show(connection: string, state: PresenceState, now: number): boolean {
    const local = this.#local(connection)
    if (local === undefined) return false
    local.state = state
    local.at = now
    return true
  }

  leave(connection: string): boolean {
    const isHere = this.has(connection)
    if (isHere) this.#locals = byConnection.without(this.#locals, connection)
    return isHere
  }

  has(connection: string): boolean {
    return this.#local(connection) !== undefined
  }

  /** @returns whether the node was not known to be there */
  noteNode(node: string, digest?: Digest): boolean {
    this.#others ??= new Map()
    const isNew = !this.#others.has(node)
    if (isNew || digest !== undefined) this.#others.set(node, digest)
    return isNew
  }

  /** @returns whether it was there */
  dropNode(node: string): boolean {
    return this.#others?.delete(node) === true
  }

  /** Of this node's connections. */
  digest(): Digest {
    return { count: byConnection.size(this.#locals), present: named(this.#here()) }
  }

  /** Of all. */
  frame(): PresenceFrame {
    const present = [...this.digest().present]
    if (this.#others !== undefined) for (const digest of this.#others.values()) present.push(...(digest?.present ?? []))
    const members = named(present).map(({ member }) => member)
    return { type: 'presence', session: this.session, members, count: this.count }
  }

  /** @returns the frame when there is news in it */
  news(now: number): PresenceFrame | undefined {
    if (this.isQuiet) return undefined
    const frame = this.frame()
    const text = JSON.stringify(frame)
    if (text === this.#toldText) return undefined
    this.#toldText = text
    this.toldAt = Math.round(now)
    this.told = frame
    return frame
  }

  tell(frame: PresenceFrame): void {
    for (const { watcher } of byConnection.all(this.#locals)) watcher.notify?.(frame)
  }

  #local(connection: string): Local | undefined {
    return byConnection.get(this.#locals, connection)
  }

  *#here(): Iterable<Present> {
    for (const { watcher, state, at } of byConnection.all(this.#locals)) {
      const { user, connection, name } = watcher
      const device = typeof state.device === 'string' ? state.device.slice(0, DEVICE_MAX) : watcher.device
      const member: PresenceMember = {
        user,
        connection,
        state,
        ...(name === undefined ? {} : { name }),
        ...(device === undefined ? {} : { device }),
      }
      yield { member, at }
    }
  }
}
