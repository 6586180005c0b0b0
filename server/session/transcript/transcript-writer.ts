// TranscriptWriter: folds a session's log into its transcript when the tail has grown by a fraction of
// what is folded already, so that the cost is amortised, and seals segments of the part that no
// unfinished run can change. The log may then trim what is covered.
import { type Event, formatCursor, parseCursor } from '@parley/protocol'
import type { Logger } from 'pino'
import { Conflict, CursorLost, StorageError } from '../../store/ports/errors.ts'
import type { FoldedEntry, Transcript } from '../../store/ports/transcript-store.ts'
import type { SessionCache } from '../session-cache.ts'
import type { SessionReplica, SessionStores } from '../session-replica.ts'
import type { Folded } from '../state/apply-entry.ts'
import { membersRecord } from '../state/members.ts'
import { lateSteerRun } from '../state/session-state.ts'
import { compact } from './compact.ts'

export interface TranscriptWriterOptions {
  /** Bytes of JSON after the transcript below which folding does not pay. */
  readonly minTailBytes: number
  /** Folded when the tail is this part of the open segment, or more. */
  readonly fraction: number
  /** Bytes of JSON of a sealed segment. */
  readonly segmentBytes: number
  /** Told of each session that is about to be folded. */
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
   * Folds the session if it is worth it. Failures are logged: the log still holds everything.
   * @param force fold even a short tail, as before retention
   */
  async fold(session: SessionReplica, force = false): Promise<void> {
    // What was deleted is purged, and must not come back.
    if (this.#busy.has(session.id) || session.state.deleted !== undefined) return
    this.#options.visited?.(session)
    this.#busy.add(session.id)
    try {
      await this.#fold(session, force)
    } catch (error) {
      // A conflict: another one folded at the same time. A lost cursor: trimmed because of that other fold.
      if (error instanceof Conflict || error instanceof CursorLost) return
      // Nothing is lost by it, and whoever asked has other work to do.
      const level = error instanceof StorageError ? 'warn' : 'error'
      this.#options.logger[level]({ err: error, session: session.id }, 'transcript was not saved')
    } finally {
      this.#busy.delete(session.id)
    }
  }

  /** Folds sessions that are old, one after the other: there is no hurry, and a sweep may name many. Throws nothing. */
  foldAll(old: ReadonlySet<string>, sessions: SessionCache): void {
    const all = async (): Promise<void> => {
      for (const id of old) {
        const { session, release } = await sessions.retain(id)
        await this.fold(session, true).finally(release)
      }
    }
    all().catch((error: unknown) =>
      this.#options.logger.warn({ err: error }, 'old sessions were not folded; the next sweep asks again'),
    )
  }

  async #fold(session: SessionReplica, force: boolean): Promise<void> {
    const { log, transcripts } = this.#stores
    const before = await transcripts.load(session.id)
    const tail: Folded[] = []
    let bytes = 0
    let seq = before === undefined ? 0 : (parseCursor(before.cursor)?.seq ?? 0)
    // What the state has not folded yet is left for the next time: `commands` must match the cursor.
    const upTo = session.state.seq
    const { commands, open, title, tools, members } = session.state
    const membersKept = membersRecord(members)
    for await (const batch of log.read(session.id, before?.cursor ?? formatCursor(log.epoch, 0))) {
      for (const entry of batch) {
        if (entry.seq > upTo) break
        tail.push(entry)
        bytes += entry.json.length
        seq = entry.seq
      }
    }
    const folded = before === undefined ? 0 : size(before.entries)
    const { minTailBytes, fraction, segmentBytes } = this.#options
    if (tail.length === 0 || (!force && bytes < Math.max(minTailBytes, folded * fraction))) return

    const entries = compact(before?.entries ?? [], tail)
    // An entry of an unfinished run, or after its message, may still change.
    const stable = open.reduce((least, run) => Math.min(least, run.order), Number.POSITIVE_INFINITY)
    const { sealing, rest } = seal(entries, stable, segmentBytes)
    const transcript: Omit<Transcript, 'revision'> = {
      cursor: formatCursor(log.epoch, seq),
      sealed: (before?.sealed ?? 0) + sealing.length,
      entries: rest,
      commands,
      settings: {
        ...(title === undefined ? {} : { title }),
        tools: [...tools.values()],
        ...(membersKept === undefined ? {} : { members: membersKept }),
      },
    }
    await transcripts.save(session.id, transcript, before?.revision ?? 0, sealing)
  }
}

/**
 * Cuts full segments off the front: never from `stable` on, and never between two entries of one run, so
 * that what is left can be folded further without them.
 */
export function seal(
  entries: readonly FoldedEntry[],
  stable: number,
  segmentBytes: number,
): { sealing: readonly (readonly FoldedEntry[])[]; rest: readonly FoldedEntry[] } {
  const sealing: (readonly FoldedEntry[])[] = []
  let rest = entries
  while (size(rest) >= 2 * segmentBytes) {
    const end = cut(rest, stable, segmentBytes)
    if (end === 0) break
    sealing.push(rest.slice(0, end))
    rest = rest.slice(end)
  }
  return { sealing, rest }
}

/** The first place where a segment is full and no run stands on both sides; 0 when there is none. */
function cut(entries: readonly FoldedEntry[], stable: number, segmentBytes: number): number {
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

/** Of a message that steers, the run that answers it, should it have come too late, is another one. */
function runsOf(event: Event): readonly string[] {
  if (event.type === 'message' && event.policy === 'steer') return [event.run, lateSteerRun(event.id)]
  return 'run' in event ? [event.run] : []
}

function size(entries: readonly FoldedEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.json.length, 0)
}
