// History: what all readers of one session received, in the order of each connection; and the session's log as far as
// any reader received it.
import type { Event } from '@parley/protocol'

export interface CommandSent {
  readonly type: 'send' | 'cancel' | 'tool.claim' | 'tool.result'
  readonly id: string
  readonly policy?: string
}

/** `connection` is unique over all readers. A reader has one at a time, on any node. */
interface Received {
  readonly reader: string
  readonly connection: number
}

export type HistoryRecord =
  /** `node`: the node that the reader is attached to. */
  | (Received & { readonly kind: 'attached'; readonly reset: boolean; readonly node?: string })
  /** The reader discarded what it had, and reads from the beginning. */
  | (Received & { readonly kind: 'forgot' })
  | (Received & { readonly kind: 'live'; readonly seq: number })
  | (Received & { readonly kind: 'entry'; readonly seq: number; readonly time: number; readonly event: Event })
  | (Received & {
      readonly kind: 'ok'
      readonly command: CommandSent
      readonly run?: string
      readonly duplicate: boolean
    })

export type EntryRecord = Extract<HistoryRecord, { kind: 'entry' }>

/** The final state of a run for one reader. */
export interface RunSeen {
  readonly text: string
  readonly reasoning: string
  readonly next: number
  readonly reason: string | undefined
}

export interface History {
  readonly records: readonly HistoryRecord[]
  /** By reader, then by run. */
  readonly pictures: ReadonlyMap<string, ReadonlyMap<string, RunSeen>>
  /** The name of a reader that connected after everything had ended, and read from the beginning. */
  readonly fresh: string
}

export type LogEntries = readonly { readonly seq: number; readonly time: number; readonly event: Event }[]

/** The log as far as any reader received it: each sequence number once. */
export function logOf(records: readonly HistoryRecord[]): LogEntries {
  const entries = new Map<number, EntryRecord>()
  for (const record of records) {
    // A compacted entry may replace an earlier one at the same number: the one received first counts.
    if (record.kind === 'entry' && !entries.has(record.seq)) entries.set(record.seq, record)
  }
  return [...entries.values()].sort((a, b) => a.seq - b.seq)
}
