// ConnectionHandler: the events of a Connection, for the client that owns it.
import type { Command, ErrorFrame, ServerFrame } from '@parley/protocol'
import type { ParleyError } from '../parley-error.ts'
import type { Sample } from './transport-probe.ts'

export interface ConnectionHandler {
  /** A transport is open, and all sessions must attach over it. Frames that are sent now precede the queued commands. */
  opened(): void
  lost(): void
  /** The connection has ended permanently. */
  ended(error: ParleyError): void
  /** The server postponed a command until `until` (Unix milliseconds); the connection then retries it. */
  delayed(command: Command, error: ErrorFrame, until: number): void
  /** Receives the frames of one message, except those that the connection handles itself. */
  frames(frames: readonly ServerFrame[]): void
  /** An attached session with which a probe tests a transport. */
  sample(): Sample | undefined
}
