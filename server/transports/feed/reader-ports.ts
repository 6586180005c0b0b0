// What a reader of a session is made of: where its frames go, what it asks of the node, and how it began.
import type { Cursor, Resume, ServerFrame } from '@parley/protocol'
import type { Semaphore } from '../../limit/semaphore.ts'
import type { TransportMetrics } from '../../metric/transport-metrics.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { Shown } from '../../session/transcript/entry-projection.ts'
import type { EntryForm, MessageData } from './entry-message.ts'
import type { ReaderReport } from './feed.ts'
import type { Hub } from './hub.ts'

/** Where a reader's frames go: a connection's outbox. */
export interface ReaderSink {
  readonly codec: EntryForm
  /** So much is unsent that entries have to wait. */
  readonly full: boolean
  /** Bytes that wait for the socket. */
  readonly unsentBytes: number
  writeEntries(data: MessageData): void
  /**
   * What is broadcast now, of about so many bytes, comes to this sink at once, and after all that was written before.
   * Then it has to be subscribed. Only where its codec is one of a WebSocket's.
   */
  takesBroadcast(bytes: number): boolean
  subscribe(topic: string): void
  unsubscribe(topic: string): void
  write(frame: ServerFrame): void
  /** Resolves when there is room for a batch; with false when the connection is closed. */
  room(): Promise<boolean>
  /** Bounds how many readers of the connection hold a part of a replay in memory. */
  readonly replays: Semaphore
}

/** What all readers share. */
export interface ReaderPorts {
  readonly stores: SessionStores
  readonly hub: Hub
  readonly metrics?: TransportMetrics | undefined
}

/** For whom sessions are read. */
export interface ReaderOwner {
  readonly user: string
  /** What the reader is a part of, for owners of a session who ask who reads. */
  readonly connection: string
  readonly door: ReaderReport['door']
  /** Of an experiment that the user takes part in. */
  readonly variant: string | undefined
  /** Asked each time a feed is begun with. @returns as what they may read @throws ReplyError */
  admit(session: string): Promise<string>
  /** The session cannot be read on: they may not any more, or the log is broken. */
  readFailed(session: string, error: unknown): void
}

export interface ReaderStart {
  readonly session: string
  /** The attach command's id. */
  readonly id: string
  readonly after: Cursor | undefined
  readonly resume?: Resume | undefined
  /** `after` is where the server found what is asked for, and no cursor of the reader's. */
  readonly fresh?: boolean
  readonly merge: boolean
  /** Called for each entry in its order; those that it does not keep are not sent. */
  readonly keep?: (entry: Shown) => boolean
}
