// The dependencies of a Reader: the sink for its frames, the services of the node, its client, and its start options.
import type { Cursor, Resume, ServerFrame } from '@parley/protocol'
import type { Semaphore } from '../../limit/semaphore.ts'
import type { TransportMetrics } from '../../metric/transport-metrics.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { ProjectedEntry } from '../../session/transcript/entry-projection.ts'
import type { EntryForm, MessageData } from './entry-message.ts'
import type { ReaderReport } from './feed.ts'
import type { Hub } from './hub.ts'

/** The destination of a reader's frames: the outbox of a connection. */
export interface ReaderSink {
  readonly codec: EntryForm
  /** Whether too many bytes are unsent: entries must wait. */
  readonly full: boolean
  readonly unsentBytes: number
  writeEntries(data: MessageData): void
  /**
   * Whether a broadcast of about `bytes` bytes would reach this sink now, in order after everything written before.
   * If so, it must be subscribed. Only for codecs of a WebSocket.
   */
  acceptsBroadcast(bytes: number): boolean
  subscribe(topic: string): void
  unsubscribe(topic: string): void
  write(frame: ServerFrame): void
  /** Resolves with true when there is room for a batch, with false when the connection is closed. */
  whenWritable(): Promise<boolean>
  /** Limits the concurrent replays of the connection, each of which holds a batch in memory. */
  readonly replays: Semaphore
}

/** The services that all readers share. */
export interface ReaderPorts {
  readonly stores: SessionStores
  readonly hub: Hub
  readonly metrics?: TransportMetrics | undefined
}

/** The client that reads. */
export interface ReaderClient {
  readonly user: string
  /** Id of the connection, shown to owners who inspect a session's readers. */
  readonly connection: string
  readonly door: ReaderReport['door']
  /** The experiment variant of the user. */
  readonly variant: string | undefined
  /** Checks access, each time the reader starts with a feed. @returns the member's role @throws ReplyError */
  admit(session: string): Promise<string>
  /** The session can no longer be read: access was revoked, or the log is broken. */
  readFailed(session: string, error: unknown): void
}

export interface ReaderStart {
  readonly session: string
  /** Id of the attach command. */
  readonly id: string
  readonly after: Cursor | undefined
  readonly resume?: Resume | undefined
  /** `after` was chosen by the server; it is not a cursor of the client. */
  readonly fresh?: boolean
  readonly merge: boolean
  /** Filter, called for each entry in order. Rejected entries are not sent. */
  readonly keep?: (entry: ProjectedEntry) => boolean
}
