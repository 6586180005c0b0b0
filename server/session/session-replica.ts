// SessionReplica: a session's state on this node, built from its transcript and log, and updated by following the log.
// It is only a cache, so dropping it loses nothing. Callers retain it through the SessionCache.
import { parseCursor, ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import type { AppendYield } from '../store/ports/append-yield.ts'
import type { Entry, Seq } from '../store/ports/entry.ts'
import { CursorLost, StorageError } from '../store/ports/errors.ts'
import type { SessionLog, Subscription } from '../store/ports/session-log.ts'
import type { CompactedEntry, TranscriptStore } from '../store/ports/transcript-store.ts'
import { withWholeMessages } from './large-messages.ts'
import { applyEntries, parseEntry } from './state/apply-entry.ts'
import { membersOf } from './state/members.ts'
import { EMPTY_SESSION, type SessionState } from './state/session-state.ts'
import { declare } from './state/tool-declarations.ts'
import { UnappliedEntries } from './state/unapplied-entries.ts'
import { jsonSize } from './transcript/compact.ts'
import { isCut, isInHistory, withHistory } from './transcript/history-loader.ts'

export interface SessionStores {
  readonly log: SessionLog
  readonly transcripts: TranscriptStore
  /** Undefined on a single node. */
  readonly appendYield?: AppendYield
  readonly logger?: Logger
}

/** Bytes of JSON of a long session's history that are loaded into memory for the model's context. */
const HISTORY_BYTES = 1024 * 1024
/**
 * UTF-16 code units of JSON of a conversation that must be complete, and of large messages besides the newest one, that
 * are loaded for the model's context.
 */
const WHOLE_CHARS = 16 * 1024 * 1024
const MAX_OPEN_ATTEMPTS = 5
/** Milliseconds to wait for this node to read entries that it or another node appended. */
const CATCH_UP_MS = 5_000
/** The number of entries that a replica may keep unapplied. */
const MAX_UNAPPLIED = 32
/**
 * Milliseconds that a driver waits for another node to end its run. The other node asks again if that was too short.
 */
const YIELD_MS = 500

/** Why `until` rejects after its timeout. One object for all waits: to make one with its stack trace takes about 11 µs. */
export const TIMED_OUT = new DOMException('The wait has timed out.', 'TimeoutError')
/** The longest delay (ms) of a timer of Node.js. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** @param entries the new entries; empty if something other than an entry caused the change */
export type SessionListener = (entries: readonly Entry[]) => void

export class SessionReplica {
  readonly id: string
  readonly #stores: SessionStores
  readonly #appendYield: AppendYield | undefined
  #state: SessionState
  readonly #unapplied = new UnappliedEntries()
  #subscription: Subscription | undefined
  /** Replaced, never mutated, so that a notification in progress iterates over the old list. */
  #listeners: readonly SessionListener[] = []
  #lost: Error | undefined
  /** Runs that callers on this node are ending, with the number of callers. Undefined until the first one, as below. */
  #ending: Map<string, number> | undefined
  /** Runs that another node is ending. */
  #endingElsewhere: Map<string, NodeJS.Timeout> | undefined
  /** Whether either map has a run. A flag, because it is checked at every token. */
  #isEnding = false

  /** Whether the state has all messages of the session, because the transcript had no segments that were left out. */
  readonly #hasAll: boolean

  private constructor(id: string, { state, hasAll }: LoadedTranscript, stores: SessionStores) {
    this.id = id
    this.#state = state
    this.#hasAll = hasAll
    this.#stores = stores
    this.#appendYield = stores.appendYield
  }

  /** @throws StorageError; CursorLost if the log is trimmed faster than it is read */
  static async open(stores: SessionStores, id: string): Promise<SessionReplica> {
    for (let attempt = 1; ; attempt += 1) {
      const loaded = await loadTranscript(stores, id)
      const session = new SessionReplica(id, loaded, stores)
      try {
        session.#subscription = await stores.log.follow(id, loaded.cursor, {
          entries: (entries) => session.#add(entries),
          lost: (error) => {
            session.#lost = error
            session.#notify([])
          },
        })
        return session
      } catch (error) {
        // Between the two reads, a newer transcript was saved and the log was trimmed.
        if (!(error instanceof CursorLost) || attempt === MAX_OPEN_ATTEMPTS) throw error
      }
    }
  }

  get state(): SessionState {
    if (this.#unapplied.length > 0) this.#state = this.#unapplied.applyTo(this.#state)
    return this.#state
  }

  /**
   * The state with the older part of the conversation that ends with `message`, and its whole messages.
   * @param isWhole whether the model must get all of it
   * @throws StorageError
   */
  async stateWithHistory(message: string, isWhole = false): Promise<SessionState> {
    const bytes = isWhole ? WHOLE_CHARS : HISTORY_BYTES
    const state = this.#hasAll ? this.state : await withHistory(this.#stores, this.id, this.state, message, bytes)
    return withWholeMessages(this.#stores, this.id, state, message, WHOLE_CHARS)
  }

  /** Whether that state lacks a part of the conversation that ends with `message`. @throws StorageError */
  isCut(state: SessionState, message: string): Promise<boolean> {
    return isCut(this.#hasAll ? undefined : this.#stores, this.id, state, message)
  }

  /** Whether the message exists, in memory or in the transcript. @throws StorageError */
  async hasMessage(message: string): Promise<boolean> {
    const { messages } = this.state
    if (messages.some(({ event }) => event.id === message)) return true
    if (this.#hasAll) return false
    return isInHistory(this.#stores, this.id, messages[0]?.seq ?? 0, message)
  }

  /** @throws ReplyError session_deleted */
  assertNotDeleted(): void {
    if (this.state.deleted !== undefined) throw new ReplyError('session_deleted')
  }

  /** The reason why the replica can no longer follow its log. Callers must open the session again. */
  get lost(): Error | undefined {
    return this.#lost
  }

  /** @param listener called synchronously after each change; must not throw. @returns a function that unsubscribes */
  subscribe(listener: SessionListener): () => void {
    this.#listeners = [...this.#listeners, listener]
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener)
    }
  }

  /**
   * Resolves with the first defined result of `pick`, now or after a change. Rejects with the signal's reason, with TIMED_OUT
   * after `ms`, or if the replica is lost.
   */
  async until<T>(pick: (state: SessionState) => T | undefined, signal?: AbortSignal, ms?: number): Promise<T> {
    signal?.throwIfAborted()
    const now = pick(this.state)
    if (now !== undefined) return now
    if (this.#lost !== undefined) throw this.#lost
    return new Promise<T>((resolve, reject) => {
      const check = (): void => {
        const found = this.#lost === undefined ? pick(this.state) : undefined
        if (found === undefined && this.#lost === undefined) return
        stop()
        if (found === undefined) reject(this.#lost)
        else resolve(found)
      }
      const abort = (): void => {
        stop()
        reject(signal?.aborted === true ? signal.reason : TIMED_OUT)
      }
      const unsubscribe = this.subscribe(check)
      signal?.addEventListener('abort', abort, { once: true })
      const timer = ms === undefined ? undefined : setTimeout(abort, Math.max(0, Math.min(ms, MAX_TIMER_MS)))
      const stop = (): void => {
        unsubscribe()
        signal?.removeEventListener('abort', abort)
        clearTimeout(timer)
      }
    })
  }

  /** Resolves when the state includes the entry with this number. */
  async reached(seq: Seq, signal?: AbortSignal): Promise<void> {
    await this.until((state) => (state.seq >= seq ? true : undefined), signal, signal ? undefined : CATCH_UP_MS)
  }

  /**
   * Pauses the run's driver on this node while `work` runs. Otherwise each attempt to end a run that streams without a
   * pause would conflict with the driver's next append.
   * @param work calls `contended` after each conflict, because the driver may be on another node
   */
  async whileEnding<T>(run: string, work: (contended: () => void) => Promise<T>): Promise<T> {
    this.#ending ??= new Map()
    const ending = this.#ending
    ending.set(run, (ending.get(run) ?? 0) + 1)
    this.#isEnding = true
    try {
      return await work(() => this.#appendYield?.request(this.id, run))
    } finally {
      const left = (ending.get(run) ?? 1) - 1
      if (left > 0) ending.set(run, left)
      else {
        ending.delete(run)
        this.#released()
      }
    }
  }

  /** Pauses the run's driver on this node for a short time, so that another node can end the run. */
  yieldAppends(run: string): void {
    this.#endingElsewhere ??= new Map()
    const ending = this.#endingElsewhere
    if (ending.has(run)) return
    const release = (): void => {
      ending.delete(run)
      this.#released()
    }
    ending.set(run, setTimeout(release, YIELD_MS).unref())
    this.#isEnding = true
  }

  isEnding(run: string): boolean {
    return this.#isEnding && (this.#ending?.has(run) === true || this.#endingElsewhere?.has(run) === true)
  }

  close(): void {
    this.#subscription?.close()
    for (const timer of this.#endingElsewhere?.values() ?? []) clearTimeout(timer)
    // Rejects pending waits.
    this.#lost ??= new StorageError('unavailable')
    this.#notify([])
    this.#listeners = []
  }

  #released(): void {
    this.#isEnding = (this.#ending?.size ?? 0) > 0 || (this.#endingElsewhere?.size ?? 0) > 0
    this.#notify([])
  }

  #add(entries: readonly Entry[]): void {
    for (const entry of entries) this.#unapplied.add(entry)
    if (this.#unapplied.length >= MAX_UNAPPLIED) this.#state = this.#unapplied.applyTo(this.#state)
    this.#notify(entries)
  }

  #notify(entries: readonly Entry[]): void {
    for (const listener of this.#listeners) listener(entries)
  }
}

interface LoadedTranscript {
  readonly state: SessionState
  readonly cursor: string
  readonly hasAll: boolean
}

async function loadTranscript(stores: SessionStores, id: string): Promise<LoadedTranscript> {
  const transcript = await stores.transcripts.load(id)
  if (transcript === undefined) return { state: EMPTY_SESSION, cursor: `${stores.log.epoch}.0`, hasAll: true }
  const parts: (readonly CompactedEntry[])[] = [transcript.entries]
  let bytes = jsonSize(transcript.entries)
  let number = transcript.sealed - 1
  for (; number >= 0 && bytes < HISTORY_BYTES; number -= 1) {
    const segment = await stores.transcripts.segment(id, number)
    if (segment === undefined) break
    bytes += jsonSize(segment)
    parts.unshift(segment)
  }
  const { settings } = transcript
  let state: SessionState = { ...EMPTY_SESSION, title: settings?.title }
  for (const part of parts) state = applyEntries(state, part.map(parseEntry))
  const seq = parseCursor(transcript.cursor)?.seq ?? 0
  return {
    state: {
      ...state,
      seq: Math.max(state.seq, seq),
      commands: transcript.commands,
      tools: settings?.tools === undefined ? state.tools : declare(new Map(), settings.tools),
      members: settings?.members === undefined ? state.members : membersOf(settings.members),
    },
    cursor: transcript.cursor,
    hasAll: number < 0,
  }
}
