// TranscriptStore: the folded older part of each session, outside the log. A port. A transcript is
// written by compare-and-save, so that two who fold at once cannot undo each other's work.
import type { Cursor, Tool } from '@parley/protocol'
import type { Seq } from './entry.ts'

/** An entry that the fold kept: the shape doors send, under its own sequence number. */
export interface FoldedEntry {
  readonly seq: Seq
  readonly time: number
  /** The event as JSON. */
  readonly json: string
}

/** What a command did, so that a late retry still has one effect. */
export interface CommandRecord {
  readonly id: string
  readonly seq: Seq
  readonly message?: string
  readonly run?: string
}

/** Who is in a session, who was, and what lets people in. */
export interface MembersRecord {
  readonly all: readonly (readonly [user: string, member: { readonly role: string; readonly name?: string }])[]
  readonly gone: readonly (readonly [user: string, since: Seq])[]
  readonly invites: readonly (readonly [
    invite: string,
    what: { readonly role: string; readonly hash: string; readonly until: number; readonly seq: Seq },
  ])[]
}

/** The session's settings at the transcript's cursor, so that they need not be looked for in old segments. */
export interface SettingsRecord {
  readonly title?: string
  readonly tools?: readonly Tool[]
  readonly members?: MembersRecord
}

/** The newest, open segment of a session's transcript. */
export interface Transcript {
  /** Raised by one with each save; 0: never saved. */
  readonly revision: number
  /** Everything in the log up to here is in this transcript and its sealed segments. */
  readonly cursor: Cursor
  /** How many sealed segments come before `entries`, numbered from 0. */
  readonly sealed: number
  readonly entries: readonly FoldedEntry[]
  /** The most recent commands, oldest first; bounded. */
  readonly commands: readonly CommandRecord[]
  readonly settings?: SettingsRecord
}

export interface TranscriptStore {
  /** The newest part, or undefined when the session was never folded. */
  load(session: string): Promise<Transcript | undefined>
  /** A sealed segment, or undefined when there is none of that number. */
  segment(session: string, number: number): Promise<readonly FoldedEntry[] | undefined>
  /**
   * Saves when the stored revision is `expect` (0: nothing stored), together with the segments
   * that it seals, in one step: `sealing[i]` becomes segment `transcript.sealed - sealing.length + i`.
   * @throws Conflict with the stored revision in `last`
   * @throws StorageError
   */
  save(
    session: string,
    transcript: Omit<Transcript, 'revision'>,
    expect: number,
    sealing?: readonly (readonly FoldedEntry[])[],
  ): Promise<void>
  /**
   * Takes the transcript and its segments away for good. In their place stays an empty one, whose revision is higher, so that
   * no save that is under way brings anything back. Idempotent.
   * @param cursor of what stays; left out: nothing stays
   * @throws StorageError
   */
  purge(session: string, cursor?: Cursor): Promise<void>
}
