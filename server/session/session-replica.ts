// SessionReplica: one session's state on this node, folded from its transcript and log and kept up to date
// by following the log. It is only a cache: dropping it loses nothing. Whoever uses it retains it.
import { parseCursor, ReplyError } from '@parley/protocol'
import type { AppendYield } from '../store/ports/append-yield.ts'
import type { Entry, Seq } from '../store/ports/entry.ts'
import { CursorLost, StorageError } from '../store/ports/errors.ts'
import type { SessionLog, Subscription } from '../store/ports/session-log.ts'
import type { FoldedEntry, TranscriptStore } from '../store/ports/transcript-store.ts'
import { fold } from './state/apply-entry.ts'
import { membersOf } from './state/members.ts'
import { EMPTY_SESSION, type SessionState } from './state/session-state.ts'
import { UnappliedEntries } from './state/unapplied-entries.ts'
import { isInPast, withPast } from './transcript/history-loader.ts'

export interface SessionStores {
  readonly log: SessionLog
  readonly transcripts: TranscriptStore
  /** Where sessions are on several nodes. */
  readonly appendYield?: AppendYield
}

/** How much of a long session's past is folded into memory for the model's context, in bytes of JSON. */
const HISTORY_BYTES = 1024 * 1024
const LOAD_TRIES = 5
/** Entries that are read and not folded yet. */
const UNFOLDED_MAX = 32
/** Milliseconds that an owner holds back for somebody on another node, who asks again should that not do. */
const HOLD_MS = 500

/** @param entries what came; none when it was not an entry that changed something */
export type SessionListener = (entries: readonly Entry[]) => void

export class SessionReplica {
  readonly id: string
  readonly #stores: SessionStores
  readonly #appendYield: AppendYield | undefined
  #state: SessionState
  readonly #unfolded = new UnappliedEntries()
  #subscription: Subscription | undefined
  /** Replaced, not changed: a round of calls goes on over the old list. */
  #listeners: readonly SessionListener[] = []
  #lost: Error | undefined
  /** Runs that somebody here tries to end, and how many do. */
  readonly #ending = new Map<string, number>()
  /** Runs that somebody on another node tries to end. */
  readonly #endingElsewhere = new Map<string, NodeJS.Timeout>()
  /** Asked at every token. */
  #isEnding = false

  private constructor(id: string, state: SessionState, stores: SessionStores) {
    this.id = id
    this.#state = state
    this.#stores = stores
    this.#appendYield = stores.appendYield
  }

  /** @throws StorageError, or CursorLost when the log is trimmed faster than it can be read */
  static async open(stores: SessionStores, id: string): Promise<SessionReplica> {
    for (let attempt = 1; ; attempt += 1) {
      const { state, cursor } = await loadTranscript(stores, id)
      const session = new SessionReplica(id, state, stores)
      try {
        session.#subscription = await stores.log.follow(id, cursor, {
          entries: (entries) => session.#take(entries),
          lost: (error) => {
            session.#lost = error
            session.#notify([])
          },
        })
        return session
      } catch (error) {
        // The transcript was saved anew, and the log trimmed, between our two reads.
        if (!(error instanceof CursorLost) || attempt === LOAD_TRIES) throw error
      }
    }
  }

  get state(): SessionState {
    if (this.#unfolded.length > 0) this.#state = this.#unfolded.foldInto(this.#state)
    return this.#state
  }

  /** The state, with what the conversation up to a message needs of the past that is not in memory. @throws StorageError */
  stateFor(message: string): Promise<SessionState> {
    return withPast(this.#stores, this.id, this.state, message, HISTORY_BYTES)
  }

  /** Whether this node knows the message, in memory or in the past. @throws StorageError */
  async holds(message: string): Promise<boolean> {
    const { messages } = this.state
    if (messages.some(({ event }) => event.id === message)) return true
    return isInPast(this.#stores, this.id, messages[0]?.seq ?? 0, message)
  }

  /** @throws ReplyError session_deleted */
  mustLive(): void {
    if (this.state.deleted !== undefined) throw new ReplyError('session_deleted')
  }

  /** Why the session can no longer be followed; it has to be opened anew. */
  get lost(): Error | undefined {
    return this.#lost
  }

  /** Called after each change of `state`, synchronously with the log. Must not throw. */
  subscribe(listener: SessionListener): () => void {
    this.#listeners = [...this.#listeners, listener]
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener)
    }
  }

  /**
   * Resolves with the first defined value that `pick` finds, now or after a change.
   * Rejects with the signal's reason, or when the session was lost.
   */
  async until<T>(pick: (state: SessionState) => T | undefined, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted()
    const now = pick(this.state)
    if (now !== undefined) return now
    // Nothing will change any more.
    if (this.#lost !== undefined) throw this.#lost
    return new Promise<T>((resolve, reject) => {
      const check = (): void => {
        const found = this.#lost === undefined ? pick(this.state) : undefined
        if (found === undefined && this.#lost === undefined) return
        settle()
        if (found === undefined) reject(this.#lost)
        else resolve(found)
      }
      const abort = (): void => {
        settle()
        reject(signal.reason)
      }
      const unsubscribe = this.subscribe(check)
      signal.addEventListener('abort', abort, { once: true })
      const settle = (): void => {
        unsubscribe()
        signal.removeEventListener('abort', abort)
      }
    })
  }

  /** Resolves when the entry with this number has been folded; at once for one of the past. */
  async reached(seq: Seq, signal: AbortSignal): Promise<void> {
    await this.until((state) => (state.seq >= seq ? true : undefined), signal)
  }

  /**
   * While `work` runs, the run's owner on this node appends nothing to it. Without that, whoever wants to end a
   * run that puts out without a pause would lose every compare to the owner's next append.
   * @param work told what to call when it lost a compare all the same: the owner may be on another node
   */
  async whileEnding<T>(run: string, work: (contended: () => void) => Promise<T>): Promise<T> {
    this.#ending.set(run, (this.#ending.get(run) ?? 0) + 1)
    this.#isEnding = true
    try {
      return await work(() => this.#appendYield?.ask(this.id, run))
    } finally {
      const left = (this.#ending.get(run) ?? 1) - 1
      if (left > 0) this.#ending.set(run, left)
      else {
        this.#ending.delete(run)
        this.#released()
      }
    }
  }

  /** Somebody on another node tries to end the run: its owner here holds back for a moment. */
  appendYield(run: string): void {
    if (this.#endingElsewhere.has(run)) return
    const release = (): void => {
      this.#endingElsewhere.delete(run)
      this.#released()
    }
    this.#endingElsewhere.set(run, setTimeout(release, HOLD_MS).unref())
    this.#isEnding = true
  }

  isEnding(run: string): boolean {
    return this.#isEnding && (this.#ending.has(run) || this.#endingElsewhere.has(run))
  }

  close(): void {
    this.#subscription?.close()
    for (const timer of this.#endingElsewhere.values()) clearTimeout(timer)
    // Whoever still waits for something would wait in vain.
    this.#lost ??= new StorageError('unavailable')
    this.#notify([])
    this.#listeners = []
  }

  #released(): void {
    this.#isEnding = this.#ending.size > 0 || this.#endingElsewhere.size > 0
    this.#notify([])
  }

  #take(entries: readonly Entry[]): void {
    for (const entry of entries) this.#unfolded.add(entry)
    if (this.#unfolded.length >= UNFOLDED_MAX) this.#state = this.#unfolded.foldInto(this.#state)
    this.#notify(entries)
  }

  #notify(entries: readonly Entry[]): void {
    for (const listener of this.#listeners) listener(entries)
  }
}

async function loadTranscript(stores: SessionStores, id: string): Promise<{ state: SessionState; cursor: string }> {
  const transcript = await stores.transcripts.load(id)
  if (transcript === undefined) return { state: EMPTY_SESSION, cursor: `${stores.log.epoch}.0` }
  const parts: (readonly FoldedEntry[])[] = [transcript.entries]
  let bytes = size(transcript.entries)
  for (let number = transcript.sealed - 1; number >= 0 && bytes < HISTORY_BYTES; number -= 1) {
    const segment = await stores.transcripts.segment(id, number)
    if (segment === undefined) break
    bytes += size(segment)
    parts.unshift(segment)
  }
  const { settings } = transcript
  let state: SessionState = {
    ...EMPTY_SESSION,
    title: settings?.title,
    tools: new Map((settings?.tools ?? []).map((tool) => [tool.name, tool])),
  }
  for (const part of parts) {
    for (const entry of part) state = fold(state, { seq: entry.seq, time: entry.time, event: JSON.parse(entry.json) })
  }
  const seq = parseCursor(transcript.cursor)?.seq ?? 0
  return {
    state: {
      ...state,
      seq: Math.max(state.seq, seq),
      commands: transcript.commands,
      members: settings?.members === undefined ? state.members : membersOf(settings.members),
    },
    cursor: transcript.cursor,
  }
}

function size(entries: readonly FoldedEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.json.length, 0)
}
