// PresenceRoom: the members of one session: this node's connections, and the digests of other nodes. It builds the frames for
// clients and the digest for other nodes; Presence decides when to send them.
import { cutText, type Presence as PresenceFrame, type PresenceMember } from '@parley/protocol'
import { SmallMap, type SmallMapField } from '../store/small-map.ts'
import { frameIntervalMs, INTERVAL_MAX_MS, type Present, selectMembers } from './presence-summary.ts'

export type PresenceState = PresenceMember['state']

export interface PresenceWatcher {
  readonly connection: string
  readonly user: string
  readonly name?: string | undefined
  /** The client's name for itself; used if its state names no device. */
  readonly device?: string | undefined
  /** All watchers get the same frame object, so that it can be encoded once. Without it, the watcher is only counted. */
  readonly notify?: ((frame: PresenceFrame) => void) | undefined
}

/** A node's summary of a session: the number of its connections, and some of its members. */
export interface Digest {
  readonly count: number
  readonly present: readonly Present[]
}

interface Local {
  readonly watcher: PresenceWatcher
  state: PresenceState
  at: number
}

const NO_STATE: PresenceState = {}
const byConnection = new SmallMap<string, Local>(({ watcher }) => watcher.connection)
const DEVICE_MAX = 64

export class PresenceRoom {
  readonly session: string
  /** Time of the last frame, and the frame itself. */
  lastFrameAt = -INTERVAL_MAX_MS
  lastFrame: PresenceFrame | undefined
  /** The digest that other nodes have, as JSON. */
  publishedDigest: string | undefined
  timer: NodeJS.Timeout | undefined
  #lastFrameText = ''
  #locals: SmallMapField<string, Local>
  /** By node; undefined if the node has members there but has not sent its digest. Created for the first other node. */
  #others: Map<string, Digest | undefined> | undefined

  constructor(session: string) {
    this.session = session
  }

  get isEmpty(): boolean {
    return this.#locals === undefined
  }

  /** Number of connections on all nodes. */
  get count(): number {
    let count = byConnection.size(this.#locals)
    if (this.#others !== undefined) for (const digest of this.#others.values()) count += digest?.count ?? 0
    return count
  }

  /** Whether no frame is needed: a single member without a state, and no frame was sent before. */
  get isQuiet(): boolean {
    if (this.lastFrame !== undefined || this.count !== 1) return false
    for (const { state } of byConnection.all(this.#locals)) return Object.keys(state).length === 0
    return false
  }

  /** Whether another node has members there. */
  get isShared(): boolean {
    return this.#others !== undefined && this.#others.size > 0
  }

  get intervalMs(): number {
    return frameIntervalMs(this.count)
  }

  enter(watcher: PresenceWatcher, now: number): void {
    // A connection that attaches again keeps its state.
    const { state = NO_STATE } = this.#local(watcher.connection) ?? {}
    this.#locals = byConnection.with(this.#locals, { watcher, state, at: now })
  }

  /** @returns false if the connection is not on this node */
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

  /** @returns whether the node was not in the room before */
  setNode(node: string, digest?: Digest): boolean {
    this.#others ??= new Map()
    const isNew = !this.#others.has(node)
    if (isNew || digest !== undefined) this.#others.set(node, digest)
    return isNew
  }

  /** @returns whether it was in the room */
  dropNode(node: string): boolean {
    return this.#others?.delete(node) === true
  }

  /** The digest of this node's connections. */
  digest(): Digest {
    return { count: byConnection.size(this.#locals), present: selectMembers(this.#localMembers()) }
  }

  /** The frame for all nodes' members. */
  frame(): PresenceFrame {
    const present = [...this.digest().present]
    if (this.#others !== undefined) for (const digest of this.#others.values()) present.push(...(digest?.present ?? []))
    const members = selectMembers(present).map(({ member }) => member)
    return { type: 'presence', session: this.session, members, count: this.count }
  }

  /** Records and returns the current frame; undefined if it equals the last one. */
  nextFrame(now: number): PresenceFrame | undefined {
    if (this.isQuiet) return undefined
    const frame = this.frame()
    const text = JSON.stringify(frame)
    if (text === this.#lastFrameText) return undefined
    this.#lastFrameText = text
    this.lastFrameAt = Math.round(now)
    this.lastFrame = frame
    return frame
  }

  notify(frame: PresenceFrame): void {
    for (const { watcher } of byConnection.all(this.#locals)) watcher.notify?.(frame)
  }

  #local(connection: string): Local | undefined {
    return byConnection.get(this.#locals, connection)
  }

  *#localMembers(): Iterable<Present> {
    for (const { watcher, state, at } of byConnection.all(this.#locals)) {
      const { user, connection, name } = watcher
      const device = typeof state.device === 'string' ? cutText(state.device, DEVICE_MAX) : watcher.device
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
