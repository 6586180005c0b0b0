// OrderedCompare: the compare of journaled entries of one session, decided by the stream's order instead of by
// JetStream. Every reader applies the same stored entries in that order, and accepts the same ones. Pure.
//
// A *compared* entry is a message of its own: JetStream compared its subject before it stored it. A *journaled* entry
// shares a message with those of other sessions, so JetStream compares nothing. Instead it names its `base`, the last
// compared entry of its subject that its writer knew, and its `place` among the journaled entries after that. It is
// accepted if no other compared entry of the subject has replaced the base, and if the entries before it were accepted.
//
//   closed ── compared ──> open(base, places 0, 1, 2 …) ── compared ──> open(new base) ── close, clear ──> closed
//                              └─ fence ──> fenced ── compared, lift ──> open(new base)
//
// A fence is a compared entry that readers do not get. After it the journal adds nothing to the subject, so the node that
// wrote it knows the last entry, and can compare with that as well. If that node is lost, the driver lifts the fence.
import type { Seq } from '../../ports/entry.ts'

export interface Compared {
  readonly seq: Seq
  readonly subject: string
  /**
   * `open`: journaled entries may follow. `close`: none may, for example after the end of a run. `fence`: none may
   * before the next compared entry, and readers do not get it. `lift`: they may again, and readers do not get it.
   * `clear`: none may on any subject: the session is deleted.
   */
  readonly kind: 'open' | 'close' | 'fence' | 'lift' | 'clear'
}

export interface Journaled {
  /** The sequence number of its record. A record has at most one entry of a session. */
  readonly seq: Seq
  readonly subject: string
  readonly base: Seq
  /** 0 for the first journaled entry after the base. */
  readonly place: number
}

/**
 * `accepted`: it belongs to the log. `repeated`: an earlier copy was accepted, because its writer sent the record
 * twice. `rejected`: the compare failed, and the log does not contain it.
 */
export type Verdict = 'accepted' | 'repeated' | 'rejected'

/** What decides about the next journaled entry of a subject. */
export interface Lane {
  readonly base: Seq
  readonly isFenced: boolean
  /** The place of the next journaled entry. */
  readonly next: number
  /** The last entry that readers get; 0 after a fence if it is not known. */
  readonly last: Seq
}

export class OrderedCompare {
  readonly #lanes: Map<string, Lane>

  /** @param lanes the lanes of an earlier instance, which has applied everything before the next entry */
  constructor(lanes: Iterable<readonly [string, Lane]> = []) {
    this.#lanes = new Map(lanes)
  }

  /** The subjects to which the journal may add. Their number is bounded by the session's open runs. */
  get lanes(): ReadonlyMap<string, Lane> {
    return this.#lanes
  }

  /** Applies a compared entry. Entries must be applied in the stream's order. */
  compared({ seq, subject, kind }: Compared): void {
    if (kind === 'clear') this.#lanes.clear()
    else if (kind === 'close') this.#lanes.delete(subject)
    else {
      const last = kind === 'open' ? seq : (this.#lanes.get(subject)?.last ?? 0)
      this.#lanes.set(subject, { base: seq, isFenced: kind === 'fence', next: 0, last })
    }
  }

  /** Applies a journaled entry. */
  journaled({ seq, subject, base, place }: Journaled): Verdict {
    const lane = this.#lanes.get(subject)
    if (lane === undefined || lane.isFenced || lane.base !== base || place > lane.next) return 'rejected'
    if (place < lane.next) return 'repeated'
    this.#lanes.set(subject, { ...lane, next: place + 1, last: seq })
    return 'accepted'
  }
}
