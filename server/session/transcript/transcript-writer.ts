// TranscriptWriter: compacts a session's log into its transcript when the tail has grown by a fraction of the
// transcript, so that the cost is amortized. It closes segments of the part that no unfinished run can change. The log
// may then trim the covered entries.
import { type Event, formatCursor, parseCursor } from '@parley/protocol'
import { lateSteerRun } from '@parley/protocol/make-id'
import type { Logger } from 'pino'
import { Conflict, CursorLost, StorageError } from '../../store/ports/errors.ts'
import type { CompactedEntry, Transcript } from '../../store/ports/transcript-store.ts'
import type { SessionCache } from '../session-cache.ts'
import type { SessionReplica, SessionStores } from '../session-replica.ts'
import type { LoggedEvent } from '../state/apply-entry.ts'
import { membersRecord } from '../state/members.ts'
import { compact, jsonSize } from './compact.ts'

export interface TranscriptWriterOptions {
  /** Minimum bytes of JSON in the tail, below which compaction does not pay. */
  readonly minTailBytes: number
  /** Minimum size of the tail, as a fraction of the open segment. */
  readonly fraction: number
  /** Minimum bytes of JSON in a closed segment. */
  readonly segmentBytes: number
  /** Called with each session before its compaction. */
  readonly visited?: (session: SessionReplica) => void
  readonly logger: Logger
}

export const TRANSCRIPT_DEFAULTS = { minTailBytes: 8 * 1024, fraction: 0.25, segmentBytes: 256 * 1024 } as const

export class TranscriptWriter {
  readonly #stores: SessionStores
  readonly #options: TranscriptWriterOptions
  readonly #busy = new Set<string>()

  constructor(stores: SessionStores, options: TranscriptWriterOptions) {
    this.#stores = stores
    this.#options = options
  }

  /**
   * Compacts the session if its tail is long enough. Failures are logged: no data is lost, and the caller has other
   * work to do.
   * @param force compact even a short tail, as before retention
   */
  async compact(session: SessionReplica, force = false): Promise<void> {
    // A deleted session is purged, and a transcript would restore it.
    if (this.#busy.has(session.id) || session.state.deleted !== undefined) return
    this.#options.visited?.(session)
    this.#busy.add(session.id)
    try {
      await this.#compact(session, force)
    } catch (error) {
      // Another node compacted the session at the same time: a conflict, or a log that was trimmed because of it.
      if (error instanceof Conflict || error instanceof CursorLost) return
      const level = error instanceof StorageError ? 'warn' : 'error'
      this.#options.logger[level]({ err: error, session: session.id }, 'failed to save transcript')
    } finally {
      this.#busy.delete(session.id)
    }
  }

  /** Compacts old sessions in sequence, because a sweep may name many. Failures are logged. */
  compactAll(old: ReadonlySet<string>, sessions: SessionCache): void {
    const all = async (): Promise<void> => {
      for (const id of old) {
        const { session, release } = await sessions.retain(id)
        await this.compact(session, true).finally(release)
      }
    }
    all().catch((error: unknown) =>
      this.#options.logger.warn({ err: error }, 'failed to compact old sessions; the next sweep retries'),
    )
  }

  async #compact(session: SessionReplica, force: boolean): Promise<void> {
    const { log, transcripts } = this.#stores
    const previous = await transcripts.load(session.id)
    const tail: LoggedEvent[] = []
    let bytes = 0
    let seq = previous === undefined ? 0 : (parseCursor(previous.cursor)?.seq ?? 0)
    // Later entries wait for the next compaction: `commands` must match the cursor.
    const { seq: upTo, commands, open, title, tools, members } = session.state
    const membersKept = membersRecord(members)
    for await (const batch of log.read(session.id, previous?.cursor ?? formatCursor(log.epoch, 0))) {
      for (const entry of batch) {
        if (entry.seq > upTo) break
        tail.push(entry)
        bytes += entry.json.length
        seq = entry.seq
      }
    }
    const covered = previous === undefined ? 0 : jsonSize(previous.entries)
    const { minTailBytes, fraction, segmentBytes } = this.#options
    if (tail.length === 0 || (!force && bytes < Math.max(minTailBytes, covered * fraction))) return

    const entries = compact(previous?.entries ?? [], tail)
    // Entries from the message of the oldest unfinished run on may still change.
    const stable = open.reduce((least, run) => Math.min(least, run.order), Number.POSITIVE_INFINITY)
    const { closed, rest } = closeSegments(entries, stable, segmentBytes)
    const transcript: Omit<Transcript, 'revision'> = {
      cursor: formatCursor(log.epoch, seq),
      sealed: (previous?.sealed ?? 0) + closed.length,
      entries: rest,
      commands,
      settings: {
        ...(title === undefined ? {} : { title }),
        tools: [...tools.values()].flat(),
        ...(membersKept === undefined ? {} : { members: membersKept }),
      },
    }
    await transcripts.save(session.id, transcript, previous?.revision ?? 0, closed)
  }
}

/**
 * Cuts full segments off the front: never at or after `stable`, and never between two entries of one run, so that the
 * rest can be compacted further without them.
 */
function closeSegments(
  entries: readonly CompactedEntry[],
  stable: number,
  segmentBytes: number,
): { closed: readonly (readonly CompactedEntry[])[]; rest: readonly CompactedEntry[] } {
  const closed: (readonly CompactedEntry[])[] = []
  let rest = entries
  while (jsonSize(rest) >= 2 * segmentBytes) {
    const end = segmentEnd(rest, stable, segmentBytes)
    if (end === 0) break
    closed.push(rest.slice(0, end))
    rest = rest.slice(end)
  }
  return { closed, rest }
}

/** The first index at which a segment is full and no run has entries on both sides; 0 if there is none. */
function segmentEnd(entries: readonly CompactedEntry[], stable: number, segmentBytes: number): number {
  const lastOfRun = new Map<string, number>()
  const runs = entries.map((entry) => runsOf(JSON.parse(entry.json) as Event))
  for (const [at, ids] of runs.entries()) for (const run of ids) lastOfRun.set(run, at)
  let bytes = 0
  let open = -1
  for (const [at, entry] of entries.entries()) {
    if (entry.seq >= stable) return 0
    for (const run of runs[at] ?? []) open = Math.max(open, lastOfRun.get(run) ?? at)
    bytes += entry.json.length
    if (bytes >= segmentBytes && open <= at) return at + 1
  }
  return 0
}

/** The runs that an entry concerns. A late steering message is answered by a run of its own; a child stays with its parent. */
function runsOf(event: Event): readonly string[] {
  if (event.type === 'message' && event.policy === 'steer') return [event.run, lateSteerRun(event.id)]
  if (event.type === 'tool.called' && event.child !== undefined) return [event.run, event.child.run]
  return 'run' in event ? [event.run] : []
}
