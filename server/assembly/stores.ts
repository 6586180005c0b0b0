// Stores: everything that a server stores, on either kind of log.
import type { Config } from '../config/config.ts'
import type { AppendYield } from '../store/ports/append-yield.ts'
import type { DeletionList } from '../store/ports/deletion-list.ts'
import type { NodeNews } from '../store/ports/node-news.ts'
import type { NodeVerdicts } from '../store/ports/node-verdicts.ts'
import type { RunQueue } from '../store/ports/run-queue.ts'
import type { ScatterGather } from '../store/ports/scatter-gather.ts'
import type { SessionDirectory } from '../store/ports/session-directory.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { TranscriptStore } from '../store/ports/transcript-store.ts'
import type { LimitsStores } from './open-limits.ts'

/** The stores of either kind, and their state. */
export interface Stores extends LimitsStores {
  readonly log: SessionLog
  readonly transcripts: TranscriptStore
  readonly runs: RunQueue
  readonly directory: SessionDirectory
  readonly deletions: DeletionList
  readonly appendYield?: AppendYield
  readonly scatterGather?: ScatterGather
  readonly presenceNews?: NodeNews
  /** Calls of MCP clients that they have cancelled. */
  readonly cancelNews?: NodeNews
  /** What this node concluded about the others. */
  readonly verdicts?: NodeVerdicts
  /** The location, for people: the data folder or the NATS servers. */
  readonly place: string
  /** Milliseconds since the log became unavailable; 0 if it is available. */
  outageMs(): number
  /** Whether the log accepts new data, or did so a second ago. Never rejects. */
  canStore(): Promise<boolean>
  /** Calls back when an outage of the log starts and ends. */
  onOutage(listener: (ongoing: boolean) => void): void
  /** Resolves when the log cannot be written again before a restart. */
  readonly broken?: Promise<Error>
  close(): Promise<void>
}

/** Called with sessions whose expired entries are not covered by a transcript. */
export type Uncovered = (sessions: ReadonlySet<string>) => void

export function retentionOf(config: Config) {
  return { maxAgeMs: config.retention * 1000, maxBytes: config.retentionBytes }
}
