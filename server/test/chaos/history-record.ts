// HistoryRecord: one thing that a reader of a session was sent or told, as it is written down while it happens; and the
// log that can be put together from what all of them saw.
import type { Event } from '@parley/protocol'

export interface CommandSent {
  readonly type: 'send' | 'cancel' | 'tool.claim' | 'tool.result'
  readonly id: string
  readonly policy?: string
}

/** Unique over all readers is `connection`; a reader has one after the other, on any nodes. */
interface Seen {
  readonly reader: string
  readonly connection: number
}

export type HistoryRecord =
  /** `node`: which one it is attached to. */
  | (Seen & { readonly kind: 'attached'; readonly reset: boolean; readonly node?: string })
  /** The reader itself dropped what it held, and begins anew. */
  | (Seen & { readonly kind: 'forgot' })
  | (Seen & { readonly kind: 'live'; readonly seq: number })
  | (Seen & { readonly kind: 'entry'; readonly seq: number; readonly time: number; readonly event: Event })
  | (Seen & {
      readonly kind: 'ok'
      readonly command: CommandSent
      readonly run?: string
      readonly duplicate: boolean
    })

export type EntryRecord = Extract<HistoryRecord, { kind: 'entry' }>

/** How a reader sees a run in the end. */
export interface RunSeen {
  readonly text: string
  readonly reasoning: string
  readonly next: number
  readonly reason: string | undefined
}

export interface History {
  readonly records: readonly HistoryRecord[]
  /** By reader, by run. */
  readonly pictures: ReadonlyMap<string, ReadonlyMap<string, RunSeen>>
  /** The reader who came when all was over, and had nothing before. */
  readonly fresh: string
}

export type Sequence = readonly { readonly seq: number; readonly time: number; readonly event: Event }[]

/** The log as far as anybody saw it: each sequence number once. */
export function union(records: readonly HistoryRecord[]): Sequence {
  const entries = new Map<number, EntryRecord>()
  for (const record of records) {
    if (record.kind !== 'entry') continue
    // Of a folded entry and the one that it stands for, the one that was there first.
    if (!entries.has(record.seq)) entries.set(record.seq, record)
  }
  return [...entries.values()].sort((a, b) => a.seq - b.seq)
}
