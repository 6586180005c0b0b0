// ConnectionHandler: what a Connection tells the client whose it is.
import type { Command, ErrorFrame, ServerFrame } from '@parley/protocol'
import type { ParleyError } from '../parley-error.ts'
import type { Sample } from './transport-probe.ts'

export interface ConnectionHandler {
  /** It is open: what is sent now goes before the commands that wait. */
  opened(): void
  lost(): void
  /** It will not come back. */
  ended(error: ParleyError): void
  /** It goes on through another door: what was asked for over the link before has to be asked for again. */
  moved(): void
  /** The server took it not, for now: it goes out again then. @param until Unix milliseconds */
  delayed(command: Command, error: ErrorFrame, until: number): void
  /** The frames of one message, but for those that are the connection's own. */
  frames(frames: readonly ServerFrame[]): void
  /** A session that is attached, for trying a door with. */
  sample(): Sample | undefined
}
