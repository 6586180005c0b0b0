// LmdbTranscriptStore: transcripts and their sealed segments in the log's environment. A save is one transaction;
// saves of one session go one after the other, so that a Conflict speaks of what is on disk.
import { type Cursor, parseCursor } from '@parley/protocol'
import type { Seq } from '../ports/entry.ts'
import { type Epochs, presently } from '../ports/epoch.ts'
import { Conflict, StorageError } from '../ports/errors.ts'
import type { FoldedEntry, Transcript, TranscriptStore } from '../ports/transcript-store.ts'
import type { LmdbEnvironment, Table } from './environment.ts'

export class LmdbTranscriptStore implements TranscriptStore {
  readonly #environment: LmdbEnvironment
  readonly #epochs: Epochs
  readonly #transcripts: Table<string, Transcript>
  readonly #segments: Table<[string, number], readonly FoldedEntry[]>
  /** How far each transcript goes: retention asks for it without decoding the transcript. */
  readonly #cursors: Table<string, string>
  readonly #saving = new Map<string, Promise<void>>()
  #closed = false

  constructor(environment: LmdbEnvironment, epochs: Epochs) {
    this.#environment = environment
    this.#epochs = epochs
    this.#transcripts = environment.values('transcripts')
    this.#segments = environment.values('segments')
    this.#cursors = environment.values('transcript-cursors')
  }

  async load(session: string): Promise<Transcript | undefined> {
    const stored = this.#transcripts.get(session)
    return stored === undefined ? undefined : { ...stored, cursor: presently(this.#epochs, stored.cursor) }
  }

  async segment(session: string, number: number): Promise<readonly FoldedEntry[] | undefined> {
    return this.#segments.get([session, number])
  }

  async save(
    session: string,
    transcript: Omit<Transcript, 'revision'>,
    expect: number,
    sealing: readonly (readonly FoldedEntry[])[] = [],
  ): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    return this.#inTurn(session, () => this.#save(session, transcript, expect, sealing))
  }

  async purge(session: string, cursor?: Cursor): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    await this.#inTurn(session, () => this.#purge(session, cursor))
  }

  /** How far the session's transcript goes in this log; 0 when there is none. */
  covered(session: string): Seq {
    const position = parseCursor(presently(this.#epochs, this.#cursors.get(session) ?? ''))
    return position?.epoch === this.#epochs.present ? position.seq : 0
  }

  /** Resolves when all saves have ended; later ones are refused. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#saving.values())
  }

  #inTurn(session: string, work: () => Promise<void>): Promise<void> {
    const before = this.#saving.get(session)
    const saving = (before ?? Promise.resolve()).then(work)
    // The next save waits for this one, however it ends.
    const ended = saving.catch(() => undefined)
    const settled = ended.then(() => {
      if (this.#saving.get(session) === settled) this.#saving.delete(session)
    })
    this.#saving.set(session, settled)
    return saving
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
    this.#environment.refresh()
  }

  #save(
    session: string,
    transcript: Omit<Transcript, 'revision'>,
    expect: number,
    sealing: readonly (readonly FoldedEntry[])[],
  ): Promise<void> {
    const revision = this.#transcripts.get(session)?.revision ?? 0
    if (revision !== expect) return Promise.reject(new Conflict(revision))
    const first = transcript.sealed - sealing.length
    return this.#environment.write(() => {
      this.#transcripts.put(session, { ...transcript, revision: revision + 1 })
      this.#cursors.put(session, transcript.cursor)
      sealing.forEach((entries, i) => {
        this.#segments.put([session, first + i], entries)
      })
    })
  }
}
