// LogState: the in-memory state of a data folder's log. The log, its checkpoints and its retention share it.
import { join } from 'node:path'
import type { Seq } from '../ports/entry.ts'
import type { LmdbEnvironment } from './environment.ts'
import { Journal } from './journal/journal.ts'
import type { JournalRecord } from './journal/journal-record.ts'
import { Memtable } from './memtable.ts'
import { decodeGroup } from './record.ts'
import { lastChunk, type Tables } from './tables.ts'

/** The entries of one commit in the journal. */
export interface CommitGroup {
  readonly first: Seq
  readonly last: Seq
  readonly bytes: number
  /** When it was committed, by the monotonic clock in milliseconds. */
  readonly at: number
}

export interface LogState {
  readonly tables: Tables
  readonly memtable: Memtable
  /** The commits in the journal, the oldest first. */
  readonly groups: CommitGroup[]
  /** The store's last durable sequence number. */
  last: Seq
  /** Bytes of `groups`. */
  journalBytes: number
  /** Bytes of all chunks, as stored. */
  chunkBytes: number
}

export interface StateOptions {
  /** The data folder. */
  readonly path: string
  /** Bytes of one file of the journal; default 4 MiB. */
  readonly segmentBytes?: number
  /** A copy of a folder that was in use: the newest file of its journal may be missing. */
  readonly isCopy?: boolean
  /** Called when the journal is broken. */
  readonly onBroken?: ((error: Error) => void) | undefined
}

const SEGMENT_BYTES = 4 * 1024 * 1024

/** The folder with the journal's files. */
export function journalFolder(path: string): string {
  return join(path, 'journal')
}

/**
 * Loads the state from the tables and the journal, with everything that was acknowledged before a stop or a crash.
 * @throws Error if the journal is damaged or has disappeared
 */
export async function openState(
  environment: LmdbEnvironment,
  tables: Tables,
  { path, segmentBytes = SEGMENT_BYTES, onBroken, isCopy = false }: StateOptions,
): Promise<{ state: LogState; journal: Journal }> {
  const { meta } = tables
  const folder = journalFolder(path)
  const isKnown = meta.get('journal') === 1
  if (isKnown && !Journal.exists(folder)) {
    throw new Error(`the journal ${folder} is missing. Restore the whole data folder from a backup.`)
  }
  const state: LogState = {
    tables,
    memtable: new Memtable(),
    groups: [],
    last: Number(meta.get('settled') ?? 0),
    journalBytes: 0,
    chunkBytes: Number(meta.get('bytes') ?? 0),
  }
  const remember = (number: number): Promise<void> =>
    environment.write(() => {
      meta.put('journal', 1)
      meta.put('segment', number)
    }, true)
  const newest = isCopy ? 0 : Number(meta.get('segment') ?? 0)
  const options = { folder, segmentBytes, onBroken, newest, onSegment: remember }
  const journal = await Journal.open(options, state.last, replayInto(state))
  if (!isKnown || journal.newest !== newest) await remember(journal.newest)
  return { state, journal }
}

function replayInto(state: LogState): (record: JournalRecord) => void {
  // After a crash between two steps of a checkpoint, the journal still has entries that are in chunks: those up to the
  // session's last chunk, or up to where it was trimmed.
  const checkpointedTo = new Map<string, Seq>()
  const at = performance.now()
  return ({ first, last, payload }) => {
    for (const { session, entry } of decodeGroup(first, payload)) {
      let checkpointed = checkpointedTo.get(session)
      if (checkpointed === undefined) {
        checkpointed = Math.max(lastChunk(state.tables, session), trimmedTo(state, session))
        checkpointedTo.set(session, checkpointed)
      }
      if (entry.seq <= checkpointed) continue
      const tail = state.memtable.tailOf(session)
      const head = state.memtable.headOf(tail, entry.subject, () => 0)
      state.memtable.add(tail, head, entry)
    }
    state.groups.push({ first, last, bytes: payload.length, at })
    state.journalBytes += payload.length
    state.last = last
  }
}

/** The session's last sequence number that retention has removed; 0: none. */
export function trimmedTo(state: LogState, session: string): Seq {
  return state.tables.trimmed.get(session) ?? 0
}
