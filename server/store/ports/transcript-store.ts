// TranscriptStore: a port that stores each session's transcript: the compacted older part of its log, kept outside the
// log. A save is a compare-and-save by revision, so two nodes that compact the same session at once cannot overwrite
// each other's work.
import type { Cursor, DeclaredTool } from '@parley/protocol'
import type { Seq } from './entry.ts'

/** An entry that compaction kept, in the form in which transports send it, under its own sequence number. */
export interface CompactedEntry {
  readonly seq: Seq
  /** Unix milliseconds. */
  readonly time: number
  /** The event as JSON. */
  readonly json: string
}

/** The effect of a command, so that a late retry of it has no second one. */
export interface CommandRecord {
  readonly id: string
  readonly seq: Seq
  /** The message that it appended. */
  readonly message?: string
  /** The run that it started, ended or belongs to. */
  readonly run?: string
}

/** The current members of a session, the former ones, and the open invitations. */
export interface MembersRecord {
  readonly all: readonly (readonly [user: string, member: { readonly role: string; readonly name?: string }])[]
  /** Former members, and the entry with which each left. */
  readonly gone: readonly (readonly [user: string, since: Seq])[]
  /** `hash` is that of the invitation's token; `until` is its expiry in Unix milliseconds. */
  readonly invites: readonly (readonly [
    invite: string,
    what: { readonly role: string; readonly hash: string; readonly until: number; readonly seq: Seq },
  ])[]
}

/** The session's settings at the transcript's cursor, so that nobody has to search old segments for them. */
export interface SettingsRecord {
  readonly title?: string
  readonly tools?: readonly DeclaredTool[]
  readonly members?: MembersRecord
}

/** A session's transcript without its closed segments: the newest entries, and what applies to the whole session. */
export interface Transcript {
  /** Grows by one with each save. 0: never saved. */
  readonly revision: number
  /** The transcript and its closed segments cover every log entry up to here. */
  readonly cursor: Cursor
  /**
   * The number of closed segments, which contain the entries before `entries`. They are numbered from 0 and never
   * change.
   */
  readonly sealed: number
  readonly entries: readonly CompactedEntry[]
  /** The most recent commands, the oldest first. Their number is limited. */
  readonly commands: readonly CommandRecord[]
  readonly settings?: SettingsRecord
}

export interface TranscriptStore {
  /** @returns undefined if the session was never compacted. @throws StorageError */
  load(session: string): Promise<Transcript | undefined>

  /** @returns the entries of a closed segment; undefined if it does not exist. @throws StorageError */
  segment(session: string, number: number): Promise<readonly CompactedEntry[] | undefined>

  /**
   * Saves the transcript together with newly closed segments, atomically, as revision `expect + 1`.
   * @param expect the stored revision (0: nothing stored)
   * @param newSegments `newSegments[i]` becomes segment `transcript.sealed - newSegments.length + i`
   * @throws Conflict with the stored revision in `last`
   * @throws StorageError
   */
  save(
    session: string,
    transcript: Omit<Transcript, 'revision'>,
    expect: number,
    newSegments?: readonly (readonly CompactedEntry[])[],
  ): Promise<void>

  /**
   * Permanently deletes the transcript and its segments. With a cursor, an empty transcript of a higher revision
   * replaces it, so that a save in flight conflicts instead of restoring anything. Idempotent.
   * @param cursor of the empty transcript; undefined: leave none
   * @throws StorageError
   */
  purge(session: string, cursor?: Cursor): Promise<void>
}
