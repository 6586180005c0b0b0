// LmdbTranscriptStore: the transcripts of a data folder, with their closed segments. A save is one transaction. Saves
// of one session run one after the other, so a Conflict always reports a revision that is on disk.
import { type Cursor, parseCursor } from '@parley/protocol'
import type { Seq } from '../ports/entry.ts'
import { type Epochs, withCurrentEpoch } from '../ports/epoch.ts'
import { Conflict } from '../ports/errors.ts'
import type { CompactedEntry, Transcript, TranscriptStore } from '../ports/transcript-store.ts'
import type { LmdbEnvironment, Table } from './environment.ts'
import { SessionWriteQueue } from './session-write-queue.ts'

export class LmdbTranscriptStore implements TranscriptStore {
  readonly #environment: LmdbEnvironment
  readonly #epochs: Epochs
  readonly #transcripts: Table<string, Transcript>
  readonly #segments: Table<[string, number], readonly CompactedEntry[]>
  /** The cursor of each transcript: retention reads it without decoding the transcript. */
  readonly #cursors: Table<string, string>
  readonly #writes: SessionWriteQueue

  constructor(environment: LmdbEnvironment, epochs: Epochs) {
    this.#environment = environment
    this.#epochs = epochs
    this.#transcripts = environment.values('transcripts')
    this.#segments = environment.values('segments')
    this.#cursors = environment.values('transcript-cursors')
    this.#writes = new SessionWriteQueue(environment)
  }

  async load(session: string): Promise<Transcript | undefined> {
    const stored = this.#transcripts.get(session)
    return stored === undefined ? undefined : { ...stored, cursor: withCurrentEpoch(this.#epochs, stored.cursor) }
  }

  async segment(session: string, number: number): Promise<readonly CompactedEntry[] | undefined> {
    return this.#segments.get([session, number])
  }

  save(
    session: string,
    transcript: Omit<Transcript, 'revision'>,
    expect: number,
    newSegments: readonly (readonly CompactedEntry[])[] = [],
  ): Promise<void> {
    return this.#writes.run(session, () => this.#save(session, transcript, expect, newSegments))
  }

  purge(session: string, cursor?: Cursor): Promise<void> {
    return this.#writes.run(session, () => this.#purge(session, cursor))
  }

  /** The last sequence number that the session's transcript covers in this log; 0: no transcript. */
  covered(session: string): Seq {
    const position = parseCursor(withCurrentEpoch(this.#epochs, this.#cursors.get(session) ?? ''))
    return position?.epoch === this.#epochs.current ? position.seq : 0
  }

  /** Resolves when all saves have ended, and refuses later ones. */
  close(): Promise<void> {
    return this.#writes.close()
  }

  async #purge(session: string, cursor: Cursor | undefined): Promise<void> {
    const { revision = 0, sealed = 0 } = this.#transcripts.get(session) ?? {}
    await this.#environment.write(() => {
      for (let number = 0; number < sealed; number += 1) this.#segments.remove([session, number])
      if (cursor === undefined) {
        this.#transcripts.remove(session)
        this.#cursors.remove(session)
      } else {
        this.#transcripts.put(session, { revision: revision + 1, cursor, sealed: 0, entries: [], commands: [] })
        this.#cursors.put(session, cursor)
      }
    }, true)
  }

  #save(
    session: string,
    transcript: Omit<Transcript, 'revision'>,
    expect: number,
    newSegments: readonly (readonly CompactedEntry[])[],
  ): Promise<void> {
    const revision = this.#transcripts.get(session)?.revision ?? 0
    if (revision !== expect) return Promise.reject(new Conflict(revision))
    const first = transcript.sealed - newSegments.length
    return this.#environment.write(() => {
      this.#transcripts.put(session, { ...transcript, revision: revision + 1 })
      this.#cursors.put(session, transcript.cursor)
      newSegments.forEach((entries, i) => {
        this.#segments.put([session, first + i], entries)
      })
    })
  }
}
